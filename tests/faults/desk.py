"""A service desk that tests of faults set up quickly, and can look into everywhere."""

from __future__ import annotations

import mailbox
from collections.abc import Callable, Mapping
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import PassReport, checkpoint
from kolibri_sdk.pipeline import System, open_system, run_pass
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.sandbox import Sandbox
from tests.project import ProjectFolder

__all__ = ["INCIDENT", "Desk", "drop", "maildir_sides", "once_at"]

ENTITY = {
    "table": "incident",
    "number": "number",
    "title": "title",
    "activity_stream": True,
    "fields": {"number": "text", "title": "text", "caller": "user"},
}
#: A rule that makes an incident of every mail that belongs to none.
INCIDENT = {
    "order": 100,
    "when": "!message.reference && !message.automatic",
    "then": [
        {
            "create_record": {
                "entity": "incident",
                "set": {
                    "title": 'message.subject || "(no subject)"',
                    "caller": "message.from.address",
                },
            }
        }
    ],
}


def maildir_sides(name: str, **reading: Any) -> dict[str, Any]:
    """Both sides of a mailbox: ``mail/NAME`` to read from, ``mail/sent`` to send to."""
    return {
        "inbound": {"protocol": "maildir", "path": f"mail/{name}", **reading},
        "outbound": {"protocol": "maildir", "path": "mail/sent"},
    }


def drop(root: Path, name: str, *mails: bytes) -> None:
    """Let mails arrive in ``mail/NAME``."""
    (root / "mail").mkdir(exist_ok=True)
    inbox = mailbox.Maildir(root / "mail" / name, create=True)
    for raw in mails:
        inbox.add(raw)


def once_at(name: str, do: Callable[[], object]) -> None:
    """Do this when a checkpoint of this name is reached for the first time."""
    names = [name]

    def reached(point: str) -> None:
        if point in names:
            names.clear()
            do()

    checkpoint.observe(reached)


class Desk:
    """A project with the mailbox ``support``, the entity ``incident`` and the rule ``incident``.

    ``folder`` is the project folder. The project opens when it is first needed, after the test has
    written its files; every poll reads ``rules/`` anew.
    """

    def __init__(self, folder: ProjectFolder, sandbox: Sandbox) -> None:
        self.folder = folder
        self.root = folder.root
        self._sandbox = sandbox
        self._opened: System | None = None
        folder.document("rules/entities/incident.yaml", ENTITY)
        self.rule("incident", INCIDENT)
        self.mailbox()
        drop(self.root, "support")

    def mailbox(self, **values: Any) -> None:
        """Write the file of ``support``; two Maildirs unless the sides are given."""
        self.folder.mailbox("support", **{**maildir_sides("support"), **values})

    def rule(self, name: str, document: Mapping[str, Any]) -> Path:
        """Write an incoming rule."""
        return self.folder.document(f"rules/inbound/support/{name}.yaml", document)

    @property
    def system(self) -> System:
        """The opened project."""
        if self._opened is None:
            opened = open_system(find_project(self.root))
            self._opened = replace(opened, sandbox=self._sandbox)
        return self._opened

    def drop(self, *mails: bytes) -> None:
        """Let mails arrive."""
        drop(self.root, "support", *mails)

    def poll(self) -> PassReport:
        """One pass, whatever it says."""
        self.system.reload_rules()
        return run_pass(self.system)

    def healthy_poll(self) -> PassReport:
        """One pass in which nothing goes wrong."""
        report = self.poll()
        assert report.ok, "\n".join(report.errors)
        return report

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self.system.store.read() as tx:
            return [tuple(row) for row in tx.execute(sa.text(query))]

    def column(self, query: str) -> list[Any]:
        """The single column that the database answers."""
        return [value for (value,) in self.rows(query)]

    def titles(self) -> list[str]:
        """The incidents, by key."""
        return self.column("SELECT title FROM incident ORDER BY id")

    def states(self) -> dict[str, str]:
        """Subject and state of the incoming mails."""
        query = "SELECT subject, state FROM kolibri_message WHERE direction = 'in' ORDER BY id"
        return dict(self.rows(query))

    def sent(self) -> list[EmailMessage]:
        """The mails that went out into ``mail/sent``."""
        folder = self.root / "mail/sent/new"
        files = sorted(folder.iterdir()) if folder.exists() else []
        return [message_from_bytes(f.read_bytes(), policy=policy.default) for f in files]

    def close(self) -> None:
        """Close the project; the next use opens it again. The sandbox goes on."""
        if self._opened is not None:
            self._opened.connections.close()
            self._opened.store.close()
            self._opened = None
