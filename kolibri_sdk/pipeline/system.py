"""Everything a pass works with, opened once: database, rules, tables of entities, sandbox."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from pathlib import Path

from kolibri_sdk.actions import load_actions
from kolibri_sdk.errors import KolibriError, NotFound
from kolibri_sdk.mailboxes import Connections
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.rulebook import Project, Rulebook, load_rulebook
from kolibri_sdk.sandbox import Sandbox
from kolibri_sdk.store import Store, Tables, capture, decisions, require_current

__all__ = ["System", "open_system"]


@dataclass(slots=True)
class System:
    """An opened project; closing it ends its connections and the sandbox.

    ``user`` is who works with it, as activity streams say of what a person does by hand.
    """

    project: Project
    store: Store
    rulebook: Rulebook
    tables: Tables
    sandbox: Sandbox
    user: str = ""
    connections: Connections = field(init=False)

    def __post_init__(self) -> None:
        self.connections = Connections(self.root)

    @property
    def root(self) -> Path:
        """The folder that relative paths in ``rules/`` are taken from."""
        return self.project.root

    def mailbox(self, name: str) -> Mailbox:
        """The mailbox of this name, or NotFound with near names."""
        try:
            return self.rulebook.mailboxes[name]
        except KeyError:
            raise NotFound.named("mailbox", name, list(self.rulebook.mailboxes)) from None

    def reload_rules(self) -> None:
        """Read ``rules/`` anew; a pass that is under way keeps what it began with."""
        self.rulebook = load_rulebook(self.project.rules)
        self.tables.use(self.rulebook.entities)

    def prepare(self) -> list[str]:
        """Make missing tables, install triggers, note rule versions; what could not be done.

        Every fault is told and the others go on: an entity whose table does not fit must not keep
        the mail of another one waiting.
        """
        problems = []
        for name, entity in self.rulebook.entities.items():
            try:
                with self.store.write() as tx:
                    self.tables.ensure(tx, name)
                    capture.watch(tx, entity)
            except KolibriError as error:
                self.tables.forget()
                problems.append(f"Entity {name}: {error}")
        versions = {r.digest: (r.name, r.as_json()) for r in self.rulebook.rules}
        with self.store.write() as tx:
            decisions.note_versions(tx, versions)
        return problems

    def close(self) -> None:
        """Log out of the mailboxes, end the sandbox and close the database."""
        self.connections.close()
        self.sandbox.close()
        self.store.close()


def open_system(project: Project, user: str | None = None) -> System:
    """Open the project's database and rules; nothing is written but a SQLite schema.

    Parameters
    ----------
    user : str, optional
        Who works with it; else as KOLIBRI_USER says, else the operating system.

    Raises
    ------
    ConfigurationError
        When the folder of the rules is missing, the file of the actions cannot be imported, the
        URL is none, or the database needs ``kolibri upgrade``.
    """
    if project.actions is not None:
        load_actions(project.actions)
    rulebook = load_rulebook(project.rules)
    store = Store(project.database)
    try:
        require_current(store)
    except KolibriError:
        store.close()
        raise
    tables = Tables(rulebook.entities)
    return System(project, store, rulebook, tables, Sandbox(), user or _whoever())


def _whoever() -> str:
    try:
        return os.environ.get("KOLIBRI_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "somebody"
