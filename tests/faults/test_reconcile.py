"""Reconcile: every difference between a mailbox and the database has its name, and is mended."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.pipeline import ReconcileReport, reconcile
from tests.faults.conftest import NewDesk
from tests.faults.desk import Desk, maildir_sides
from tests.project import letter
from tests.servers.dovecot import Dovecot

LETTERS = {n: letter(f"Mail {n}", sender=f"p{n}@customer.example") for n in range(1, 6)}


class Box:
    """A desk whose mailbox is read by one of the three protocols, with five mails in it."""

    def __init__(self, desk: Desk, protocol: str, dovecot: Dovecot | None) -> None:
        self.desk = desk
        self.protocol = protocol
        self.dovecot = dovecot
        if dovecot is not None:
            self.user = dovecot.new_user("compared")
        self.configure()
        self.receive(*LETTERS.values())

    def configure(self, **reading: Any) -> None:
        if self.dovecot is None:
            self.desk.mailbox(**maildir_sides("support", **reading))
        else:
            inbound = self.dovecot.inbound(self.user, self.protocol, "none", **reading)
            self.desk.mailbox(inbound=inbound)

    def receive(self, *mails: bytes) -> None:
        if self.dovecot is None:
            self.desk.drop(*mails)
        else:
            self.dovecot.deliver(self.user, *mails)

    def remove(self, subject: str) -> None:
        """Somebody else deletes a mail."""
        if self.dovecot is None:
            for path in (self.desk.root / "mail/support").rglob("*"):
                if path.is_file() and f"Subject: {subject}".encode() in path.read_bytes():
                    path.unlink()
        else:
            with self.dovecot.imap(self.user, "INBOX") as client:
                client.delete_messages(client.search(["SUBJECT", subject]))
                client.expunge()

    def compare(self, *, repair: bool = False) -> ReconcileReport:
        self.desk.system.reload_rules()
        return reconcile(self.desk.system, self.desk.system.mailbox("support"), repair=repair)

    def labels(self) -> dict[str, int]:
        return {reason.label: number for reason, number in self.compare().counts.items()}

    def write(self, statement: str) -> None:
        with self.desk.system.store.write() as tx:
            tx.execute(sa.text(statement))


@pytest.fixture(params=["maildir", "imap", "pop3"])
def box(request: pytest.FixtureRequest, desk: Desk) -> Box:
    if request.param == "maildir":
        return Box(desk, "maildir", None)
    return Box(desk, request.param, request.getfixturevalue("dovecot"))


pytestmark = pytest.mark.dovecot


def test_a_healthy_box_has_no_difference(box: Box) -> None:
    assert box.labels() == {"arrived_since": 5}
    box.desk.healthy_poll()
    report = box.compare()
    assert (report.mails, report.differences, report.ok) == (5, [], True)
    assert box.compare(repair=True).done == ["nothing was to be mended"]


def test_what_others_and_we_remove_is_named_and_is_no_fault(box: Box) -> None:
    box.desk.healthy_poll()
    box.remove("Mail 2")
    assert box.labels() == {"deleted_by_others": 1}
    box.configure(after="delete")
    box.receive(letter("Mail 6"))
    box.desk.healthy_poll()
    ours = "deleted_and_there" if box.protocol == "maildir" else "deleted_by_us"
    assert box.labels() == {"deleted_by_others": 1, ours: 1}
    assert box.compare().ok


LOST: dict[str, tuple[str, str]] = {
    "message": ("DELETE FROM kolibri_message WHERE subject = 'Mail 3'", "message_missing"),
    "bytes": (
        "DELETE FROM kolibri_blob WHERE sha256 = "
        "(SELECT blob FROM kolibri_message WHERE subject = 'Mail 3')",
        "bytes_missing",
    ),
    "damage": (
        "UPDATE kolibri_blob SET codec = 'raw', data = CAST('nonsense' AS BLOB) WHERE sha256 = "
        "(SELECT blob FROM kolibri_message WHERE subject = 'Mail 3')",
        "bytes_damaged",
    ),
}


@pytest.mark.parametrize("what", LOST)
def test_what_the_database_has_lost_is_a_fault_and_is_fetched_again(box: Box, what: str) -> None:
    statement, label = LOST[what]
    box.desk.healthy_poll()
    box.write(statement)

    (fault,) = box.compare().faults
    assert fault.reason.label == label
    mended = box.compare(repair=True)

    assert mended.ok, str(mended)
    assert mended.done != ["nothing was to be mended"]
    box.desk.healthy_poll()
    states = box.desk.states()
    assert states == {f"Mail {n}": "done" for n in LETTERS}
    assert box.compare().differences == []


def test_an_entry_that_is_missing_is_listed_again_and_fetched(box: Box) -> None:
    box.desk.healthy_poll()
    box.write("DELETE FROM kolibri_ledger WHERE message = 3")
    box.write("DELETE FROM kolibri_message WHERE id = 3")

    report = box.compare()
    by_mark = {"never_listed": 1}
    assert box.labels() == (by_mark if box.protocol == "imap" else {"arrived_since": 1})
    assert report.ok == (box.protocol != "imap")

    assert box.compare(repair=True).ok
    box.desk.healthy_poll()
    assert len(box.desk.states()) == 5
    assert box.compare().differences == []


def test_a_message_that_neither_side_has_any_more_is_said_to_be_lost(box: Box) -> None:
    box.desk.healthy_poll()
    box.write("DELETE FROM kolibri_message WHERE subject = 'Mail 3'")
    box.remove("Mail 3")

    report = box.compare(repair=True)

    assert any("only a backup has them" in done for done in report.done), report.done
    assert {reason.label for reason in report.counts} == {"gone_unfetched"}
    box.receive(LETTERS[3])
    assert box.desk.healthy_poll().counts["stored"] == 1, "the same bytes are no duplicate"


def test_mail_that_is_not_asked_for_is_named_and_can_be_taken_in(
    desk: Desk, dovecot: Dovecot
) -> None:
    user = dovecot.new_user("before")
    dovecot.append(user, letter("Read before"), flags=(rb"\Seen",))
    dovecot.append(user, letter("Unread before"))
    desk.mailbox(inbound=dovecot.inbound(user, security="none"))
    desk.healthy_poll()
    report = reconcile(desk.system, desk.system.mailbox("support"))
    assert [one.reason.label for one in report.differences] == ["passed_over"]
    assert report.ok

    with desk.folder.open() as k:
        (row,) = k.quarantine.frame(state="passed_over").to_dict("records")
        assert (row["mailbox"], row["folder"], row["uid"]) == ("support", "INBOX", "1")
        assert k.quarantine.release("support", state="passed_over") == 1
    desk.healthy_poll()
    assert sorted(desk.titles()) == ["Read before", "Unread before"]
    assert not reconcile(desk.system, desk.system.mailbox("support")).differences


def test_mail_moved_between_two_folders_that_are_read_is_named_so(
    desk: Desk, dovecot: Dovecot
) -> None:
    user = dovecot.new_user("mover")
    with dovecot.imap(user) as client:
        client.create_folder("Later")
    desk.mailbox(inbound=dovecot.inbound(user, security="none", folders=["INBOX", "Later"]))
    dovecot.deliver(user, letter("One"))
    desk.healthy_poll()
    with dovecot.imap(user, "INBOX") as client:
        client.move([1], "Later")
    desk.healthy_poll()

    report = reconcile(desk.system, desk.system.mailbox("support"))

    told = {(one.folder, one.reason.label) for one in report.differences}
    assert told == {("INBOX", "moved_by_others"), ("Later", "duplicate_of")}
    assert report.ok


def test_the_commands_tell_it_in_words_and_in_numbers(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.drop(*LETTERS.values())
    desk.healthy_poll()
    well = desk.folder.kolibri("reconcile", "support")
    assert (well.returncode, well.stdout) == (0, "support: 5 mails on the server, 0 faults\n")
    with desk.system.store.write() as tx:
        tx.execute(sa.text("DELETE FROM kolibri_message WHERE id = 3"))
    ill = desk.folder.kolibri("reconcile")
    assert ill.returncode == 1
    assert "message_missing: the ledger names a message that is not there" in ill.stderr
    mended = desk.folder.kolibri("reconcile", "--repair")
    assert mended.returncode == 0, mended.stderr
    assert "done: 1 mails fetched; the next pass runs the rules" in mended.stdout
    assert desk.folder.kolibri("reconcile", "nobody").returncode == 2
    assert '"ok": true' in desk.folder.kolibri("reconcile", "--quick", "--json").stdout
