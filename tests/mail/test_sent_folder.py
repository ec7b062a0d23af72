"""Copies in the Sent folder of a real Dovecot: each once, and what they tell of lost answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk import Kolibri, PassReport, clock
from kolibri_sdk.store import outbox
from tests.faults.conftest import Run, runner
from tests.project import ProjectFolder
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.dovecot

ANNAS = "anna@customer.example"


class Desk:
    """A mailbox that asks for copies, one incident, and the user behind it."""

    def __init__(self, root: Path, dovecot: Dovecot, **outbound: Any) -> None:
        self.dovecot = dovecot
        self.user = dovecot.new_user("support")
        self.folder = ProjectFolder(root)
        self.folder.use_shipped_rules("entities")
        self.mailbox(**{"sent_copy": "append", **outbound})
        self.k: Kolibri = self.folder.open()
        self.record = self.k.records["incident"].insert(title="VPN is down")

    def mailbox(self, **outbound: Any) -> None:
        self.folder.mailbox(
            "support",
            inbound=self.dovecot.inbound(self.user),
            outbound=self.dovecot.outbound(self.user) | outbound,
        )

    def poll(self, **later: float) -> PassReport:
        with clock.fixed(clock.now() + timedelta(**later)):
            (report,) = self.k.poll(passes=1)
        return report

    def lying_in(self, folder: str) -> list[tuple[bytes, bool]]:
        """Bytes of what lies there, and whether it is read."""
        with self.dovecot.imap(self.user, folder) as colleague:
            found = colleague.fetch(colleague.search(), ["BODY.PEEK[]", "FLAGS"])
        return [(one[b"BODY[]"], b"\\Seen" in one[b"FLAGS"]) for one in found.values()]

    def set_uncertain(self, number: int) -> None:
        with self.k._system.store.write() as tx:
            results = {ANNAS: {"status": "uncertain", "code": None, "answer": "line lost"}}
            outbox.save(tx, number, state="uncertain", results=results, due_at=clock.now())


NewDesk = Callable[..., Desk]


@pytest.fixture
def new_desk(tmp_path: Path, dovecot: Dovecot) -> Iterator[NewDesk]:
    dovecot.sink.taken.clear()
    desks: list[Desk] = []

    def make(**outbound: Any) -> Desk:
        desks.append(Desk(tmp_path, dovecot, **outbound))
        return desks[-1]

    yield make
    for desk in desks:
        desk.k.close()


@pytest.fixture(scope="module")
def run_pass() -> Iterator[Run]:
    with runner() as run:
        yield run


def test_the_copy_is_the_mail_read_in_the_folder_with_the_mark(new_desk: NewDesk) -> None:
    desk = new_desk()
    with desk.dovecot.imap(desk.user) as colleague:
        colleague.create_folder("Ausgang")  # Dovecot is configured to mark it \Sent
        colleague.create_folder("Sent")
    sent = desk.record.mail(to=ANNAS, bcc="boss@x.example", html="<p>Gr\u00fc\u00dfe</p>")

    report = desk.poll()

    assert (report.counts["sent"], report.counts["copied"]) == (1, 1), report.errors
    assert desk.lying_in("Ausgang") == [(desk.k.messages[sent.message].raw, True)]
    assert desk.lying_in("Sent") == []
    assert sent.copy == "filed"
    assert not any(desk.poll(hours=5).counts.values()), "and that was it"
    assert len(desk.lying_in("Ausgang")) == 1


def test_without_a_mark_the_usual_name_counts_and_a_named_one_is_made(new_desk: NewDesk) -> None:
    desk = new_desk()
    with desk.dovecot.imap(desk.user) as colleague:
        colleague.create_folder("Gesendet")
    desk.record.mail(to=ANNAS, text="one")
    assert desk.poll().ok
    assert len(desk.lying_in("Gesendet")) == 1
    desk.mailbox(sent_copy="append", sent_folder="Post \u00fc")
    desk.record.mail(to=ANNAS, text="two")
    report = desk.poll()
    assert report.ok, report.errors
    assert len(desk.lying_in("Post \u00fc")) == 1


def test_a_copy_that_fails_is_told_and_tried_again_and_the_mail_stays_sent(
    new_desk: NewDesk,
) -> None:
    desk = new_desk()
    sent = desk.record.mail(to=ANNAS, text="one")

    report = desk.poll()

    assert (sent.state, sent.copy) == ("sent", "due")
    (error,) = report.errors
    assert "marks no folder as the one for sent mail" in error
    assert "sent_folder:" in error
    assert "(1 cop(ies) for the Sent folder wait)" in error
    assert desk.poll().ok, "not at once again"
    with desk.dovecot.imap(desk.user) as colleague:
        colleague.create_folder("Sent")
    assert desk.poll(minutes=5).counts["copied"] == 1
    assert len(desk.lying_in("Sent")) == 1
    assert (sent.state, sent.copy) == ("sent", "filed")
    assert len(desk.dovecot.sink.taken) == 1


@pytest.mark.parametrize("where", ["copy.appended", "copy.put"])
def test_a_kill_in_between_does_not_double_it(new_desk: NewDesk, run_pass: Run, where: str) -> None:
    desk = new_desk(sent_folder="Sent")
    desk.record.mail(to=ANNAS, text="one")
    assert run_pass(str(desk.folder.root), at=where)["status"] == -9
    assert len(desk.lying_in("Sent")) == 1, "it was killed behind the APPEND"

    assert desk.poll(minutes=20).counts["copied"] == 1

    assert len(desk.lying_in("Sent")) == 1


def test_what_lies_in_the_sent_folder_has_gone_out(new_desk: NewDesk) -> None:
    """As where the server itself puts sent mail there."""
    desk = new_desk(sent_copy="server", sent_folder="Sent")
    sent, other = (desk.record.mail(to=ANNAS, text=text) for text in ("one", "two"))
    raw = desk.k.messages[sent.message].raw
    for one in (sent, other):
        desk.set_uncertain(one.id)
    with desk.dovecot.imap(desk.user) as colleague:
        colleague.create_folder("Sent")
        colleague.append("Sent", raw)

    report = desk.poll()

    assert report.ok, report.errors
    assert (sent.state, other.state) == ("sent", "uncertain")
    assert sent.results[ANNAS]["answer"] == "it lies in the Sent folder"
    assert desk.dovecot.sink.taken == []
    kinds = list(desk.record.activity.frame()["kind"])
    assert kinds == ["mail_queued", "mail_queued", "mail_sent"]


def test_a_copy_in_a_folder_that_is_read_is_known_as_our_own(new_desk: NewDesk) -> None:
    desk = new_desk(sent_folder="Sent")
    desk.folder.mailbox(
        "support",
        inbound=desk.dovecot.inbound(desk.user) | {"folders": ["INBOX", "Sent"], "fetch": "all"},
        outbound=desk.dovecot.outbound(desk.user) | {"sent_copy": "append", "sent_folder": "Sent"},
    )
    with desk.dovecot.imap(desk.user) as colleague:
        colleague.create_folder("Sent")
    desk.record.mail(to=ANNAS, text="one")
    assert desk.poll().counts["copied"] == 1
    desk.poll()
    assert list(desk.k.messages.frame()["kind"]) == ["ordinary", "own"]
    assert len(desk.lying_in("Sent")) == 1
