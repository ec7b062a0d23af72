"""A service desk on a real Dovecot, as every acceptance test needs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kolibri_sdk import Kolibri, PassReport
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.store import Store
from kolibri_sdk.store.schema import mailbox_state
from tests.project import ProjectFolder
from tests.servers.dovecot import Dovecot
from tests.servers.sink import Sink, Taken


class Desk:
    """A project whose mailboxes are users of a Dovecot; ``support`` is there from the start.

    ``folder`` is the project folder, ``user`` the Dovecot user behind ``support``, ``k`` the
    opened project: it opens when it is first asked for, after the test has written its files.
    """

    def __init__(self, folder: ProjectFolder, dovecot: Dovecot) -> None:
        self.folder = folder
        self.dovecot = dovecot
        self.user = dovecot.new_user("support")
        self._opened: Kolibri | None = None
        self.mailbox()

    def mailbox(
        self, name: str = "support", user: str | None = None, *, protocol: str = "imap",
        security: Any = "tls", fetch: str = "unread", after: str = "keep", **more: Any,
    ) -> None:  # fmt: skip
        """Write a mailbox file: read by this protocol, sent from by submission."""
        who = user or self.user
        inbound = self.dovecot.inbound(who, protocol, security, fetch=fetch, after=after)
        sides = {"inbound": inbound, "outbound": self.dovecot.outbound(who)}
        self.folder.mailbox(name, **{**sides, "plus_addressing": True, **more})

    def announce(self, to: str, *, template: str = "news", **more: Any) -> None:
        """Have every new incident told to these recipients, written as YAML."""
        self.folder.use_shipped_rules("entities")
        if not (self.folder.root / "rules/templates" / template).exists():
            self.folder.template(template, en_subject="News", en_txt="News.\n")
        rule = {"on": "insert", "template": template, "mailbox": "support", **more}
        lines = [f"{name}: {json.dumps(value)}" for name, value in rule.items()]
        number = len(list(self.folder.root.glob("rules/outbound/incident/*")))
        text = "\n".join([*lines, f"to: {to}", ""])
        self.folder.write(f"rules/outbound/incident/announce-{number}.yaml", text)

    @property
    def k(self) -> Kolibri:
        """The opened project."""
        if self._opened is None:
            self._opened = self.folder.open()
        return self._opened

    @property
    def sink(self) -> Sink:
        """Where the mail that was submitted comes out."""
        return self.dovecot.sink

    def deliver(self, *mails: bytes) -> None:
        """Let mails arrive in ``support``, as an MTA does."""
        self.dovecot.deliver(self.user, *mails)

    def poll(self) -> PassReport:
        """One pass, whatever it says."""
        (report,) = self.k.poll(passes=1)
        return report

    def healthy_poll(self) -> PassReport:
        """One pass in which nothing goes wrong."""
        report = self.poll()
        assert report.ok, "\n".join(report.errors)
        return report

    def receive(self, *mails: bytes) -> PassReport:
        """Let mails arrive and poll once, well."""
        self.deliver(*mails)
        return self.healthy_poll()

    def answer_to(self, address: str) -> Taken:
        """The one mail that came out for this recipient."""
        (taken,) = self.sink.to(address)
        return taken

    def last_run(self, folder: str = "INBOX") -> datetime | None:
        """The time stamp of a folder of ``support``."""
        query = select(mailbox_state.c.last_run).where(
            mailbox_state.c.mailbox == "support", mailbox_state.c.folder == folder
        )
        store = Store(find_project(self.folder.root).database)
        with store.read() as tx:
            stamp: datetime | None = tx.scalar(query)
        store.close()
        return stamp

    def told(self) -> list[str]:
        """Every recipient that a mail came out for."""
        return sorted(address for taken in self.sink.taken for address in taken.recipients)

    def stream(self, key: Any = 1, entity: str = "incident") -> list[tuple[str, str]]:
        """Kind and text of the entries in a record's activity stream."""
        frame = self.k.records[entity, key].activity.frame()
        return list(zip(frame["kind"], frame["text"], strict=True))

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, by key."""
        return list(self.k.records["incident"].frame().to_dict("records"))

    def close(self) -> None:
        """Close the project; the next use opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


@pytest.fixture
def new_desk(tmp_path: Path, dovecot: Dovecot) -> Iterator[Callable[..., Desk]]:
    """A function that makes a desk, on this database where one is named."""
    dovecot.sink.taken.clear()
    desks: list[Desk] = []

    def make(**settings: Any) -> Desk:
        root = tmp_path / f"desk{len(desks)}"
        root.mkdir()
        desks.append(Desk(ProjectFolder(root, **settings), dovecot))
        if "postgresql" in settings.get("database", ""):
            desks[-1].folder.upgrade()
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_desk(request: pytest.FixtureRequest, new_desk: Callable[..., Desk]) -> Desk:
    """A desk with entities and no rule, on each of the two databases."""
    if request.param == "postgresql":
        made: Desk = new_desk(database=request.getfixturevalue("postgresql")())
    else:
        made = new_desk()
    made.folder.use_shipped_rules("entities")
    return made


@pytest.fixture
def bare_desk(new_desk: Callable[..., Desk]) -> Desk:
    """A desk with the mailbox ``support`` and nothing else."""
    return new_desk()


@pytest.fixture
def desk(bare_desk: Desk) -> Desk:
    """A desk that works by the shipped rules."""
    bare_desk.folder.use_shipped_rules()
    return bare_desk
