"""Everything a pass works with, opened once: database, rules, tables of entities, sandbox."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from kolibri_sdk import clock
from kolibri_sdk.actions import load_actions
from kolibri_sdk.errors import ConfigurationError, KolibriError, NotFound
from kolibri_sdk.mailboxes import Connections
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.rulebook import Project, Rulebook, footprint, load_rulebook
from kolibri_sdk.sandbox import Sandbox
from kolibri_sdk.store import Store, Tables, decisions, require_current, watching

__all__ = ["System", "open_system"]

_PREPARE_ANEW = 600.0  #: seconds


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
    _footprint: object = field(init=False, default=None)
    looked_for_drift: Callable[[], float] | None = field(init=False, default=None)
    _prepared: Callable[[], float] | None = field(init=False, default=None)
    _fingerprint: str | None = field(init=False, default=None)
    _seen: datetime | None = field(init=False, default=None)
    _used: dict[str, str] = field(init=False, default_factory=dict)

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
        """Read ``rules/`` anew if anything has changed; what is under way keeps what it has."""
        seen = footprint(self.project.rules)
        if seen is None or seen != self._footprint:
            self.rulebook = load_rulebook(self.project.rules)
            self.tables.use(self.rulebook.entities)
            self._prepared = None
        self._footprint = seen

    def prepare(self) -> list[str]:
        """Make missing tables, install triggers, note rule versions; what somebody has to know.

        Every fault is told and the others go on: an entity whose table does not fit must not keep
        the mail of another one waiting. What was done well is done again after ten minutes, and as
        soon as a table or a trigger has changed: somebody may have taken them away.
        """
        with self.store.read() as tx:
            print_now = watching.fingerprint(tx)
        unchanged = print_now == self._fingerprint
        if unchanged:
            self._seen = clock.now()
        if unchanged and self._prepared is not None and self._prepared() < _PREPARE_ANEW:
            return []
        self.tables.forget()
        problems, told = [], []
        for name in self.rulebook.entities:
            try:
                told += self.watch(name)
            except KolibriError as error:
                self.tables.forget()
                problems.append(f"Entity {name}: {error}")
        versions = {r.digest: (r.name, r.as_json()) for r in self.rulebook.rules}
        with self.store.write() as tx:
            decisions.note_versions(tx, versions)
            self._fingerprint = watching.fingerprint(tx)
        self._prepared = None if problems else clock.stopwatch()
        self._seen = clock.now()
        return problems + told

    def watch(self, name: str) -> list[str]:
        """Make the entity's table where it is missing, and its triggers; what may have been missed.

        Raises
        ------
        ConfigurationError
            When the table does not fit, is no table, or another entity has it, too.
        """
        entity = self.tables.entity(name)
        others = [o.name for o in self.rulebook.entities.values() if o.is_about(entity)]
        if others[0] != name:
            raise ConfigurationError(
                f"{entity.file or name}: the table {entity.table_name} is that of the entity "
                f"{others[0]}, too",
                "Let one entity describe it",
            )
        with self.store.write() as tx:
            self.tables.ensure(tx, name)
            return watching.renew(tx, entity, self._seen)

    def use(self, name: str) -> list[str]:
        """The same before somebody works with records by hand, where anything has changed since."""
        with self.store.read() as tx:
            now = watching.fingerprint(tx)
        if self._used.get(name) == now:
            return []
        self.tables.forget()
        told = self.watch(name)
        with self.store.read() as tx:
            self._used[name] = watching.fingerprint(tx)
        return told

    def distrust(self) -> None:
        """Something went wrong: the next pass looks at everything anew."""
        self._footprint = self._prepared = self._fingerprint = None

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
