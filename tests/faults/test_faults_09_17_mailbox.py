"""Faults 9-17 and 22: what colleagues and IMAP servers do to a mailbox behind the poller's back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from kolibri_sdk import clock
from tests.faults.conftest import NewDesk
from tests.faults.desk import Desk, once_at
from tests.project import letter
from tests.servers.dovecot import PASSWORD_VARIABLE, Dovecot
from tests.servers.scripted import ImapDouble, Line, serving

FOLDER = "Work"


class SharedDesk:
    """A desk that reads the folder ``Work`` of a Dovecot user, and the colleague at that folder."""

    def __init__(self, desk: Desk, dovecot: Dovecot, **reading: Any) -> None:
        self.desk = desk
        self.dovecot = dovecot
        self.user = dovecot.new_user("shared")
        with dovecot.imap(self.user) as client:
            client.create_folder(FOLDER)
            client.create_folder("Elsewhere")
        inbound = dovecot.inbound(self.user, security="none", folders=[FOLDER], **reading)
        desk.mailbox(inbound=inbound)

    def append(self, *mails: bytes) -> None:
        self.dovecot.append(self.user, *mails, folder=FOLDER)

    def colleague(self, do: Callable[[Any], object]) -> None:
        """What somebody else does with the folder open."""
        with self.dovecot.imap(self.user, FOLDER) as client:
            do(client)

    def make_anew(self, *mails: bytes) -> None:
        """Delete the folder, make it again, and put these mails into it."""
        with self.dovecot.imap(self.user) as client:
            client.delete_folder(FOLDER)
            client.create_folder(FOLDER)
        self.append(*mails)


@pytest.fixture(params=["unread", "all"])
def shared(request: pytest.FixtureRequest, desk: Desk, dovecot: Dovecot) -> SharedDesk:
    return SharedDesk(desk, dovecot, fetch=request.param)


pytestmark = pytest.mark.dovecot


def test_fault_09_the_folder_was_made_anew_with_its_old_mails(shared: SharedDesk) -> None:
    old = [letter(f"Old {n}") for n in range(3)]
    shared.append(*old)
    shared.desk.healthy_poll()

    shared.make_anew(letter("New"), *old)
    report = shared.desk.healthy_poll()

    assert report.counts["stored"] == 1
    assert shared.desk.titles() == ["Old 0", "Old 1", "Old 2", "New"]
    assert not shared.desk.healthy_poll().counts["stored"]


def test_fault_10_the_folder_was_made_anew_and_other_mails_have_the_old_uids(
    shared: SharedDesk,
) -> None:
    shared.append(*(letter(f"Old {n}") for n in range(3)))
    shared.desk.healthy_poll()

    shared.make_anew(*(letter(f"New {n}") for n in range(3)))
    shared.desk.healthy_poll()

    known = shared.desk.rows("SELECT uid, count(*) FROM kolibri_ledger GROUP BY uid")
    assert [(uid, n) for uid, n in known if n != 2] == [], "the UIDs were used again"
    assert shared.desk.titles() == [f"{age} {n}" for age in ("Old", "New") for n in range(3)]


def test_fault_11_a_colleague_reads_the_mail_between_listing_and_fetching(
    shared: SharedDesk,
) -> None:
    shared.append(letter("One"), letter("Two"))
    everything = lambda client: client.add_flags([1, 2], [rb"\Seen"])  # noqa: E731
    once_at("fetch.listed", lambda: shared.colleague(everything))

    shared.desk.healthy_poll()

    assert shared.desk.titles() == ["One", "Two"]


def test_fault_11_a_colleague_reads_the_mail_between_two_passes(shared: SharedDesk) -> None:
    shared.desk.healthy_poll()
    shared.append(letter("One"))
    shared.colleague(lambda client: client.add_flags([1], [rb"\Seen"]))

    shared.desk.healthy_poll()

    assert shared.desk.titles() == ["One"]


def test_fault_12_a_colleague_copies_mail_and_moves_it_away_and_back(shared: SharedDesk) -> None:
    shared.append(letter("One"), letter("Two"))
    shared.desk.healthy_poll()

    def shuffle(client: Any) -> None:
        client.copy([1], FOLDER)
        client.move([2], "Elsewhere")
        client.select_folder("Elsewhere")
        client.move([1], FOLDER)

    shared.colleague(shuffle)
    report = shared.desk.healthy_poll()

    assert shared.desk.titles() == ["One", "Two"]
    assert (report.counts["stored"], report.counts["duplicates"]) == (0, 2), "seen, and said"


def test_fault_13_a_colleague_expunges_a_mail_between_listing_and_fetching(
    shared: SharedDesk,
) -> None:
    shared.append(*(letter(f"Mail {n}") for n in range(3)))

    def expunge(client: Any) -> None:
        client.delete_messages([2])
        client.expunge()

    once_at("fetch.listed", lambda: shared.colleague(expunge))
    report = shared.desk.healthy_poll()

    assert shared.desk.titles() == ["Mail 0", "Mail 2"]
    told = "folder Work: mail 2 was removed by somebody else before it was fetched"
    assert [said for said in report.refused if told in said], report.refused
    assert states_of(shared.desk) == {"1": "stored", "2": "gone", "3": "stored"}
    assert not shared.desk.healthy_poll().refused


def states_of(desk: Desk) -> dict[str, str]:
    """UID → state in the ledger."""
    return dict(desk.rows("SELECT uid, state FROM kolibri_ledger"))


@contextmanager
def served(desk: Desk, double: ImapDouble) -> Iterator[None]:
    """The desk reads from this double."""
    with serving(double.talk) as port:
        read_from(desk, port)
        yield


def read_from(desk: Desk, port: int, **more: Any) -> None:
    inbound = {
        "protocol": "imap",
        "host": "127.0.0.1",
        "port": port,
        "user": "anna",
        "password": {"env": PASSWORD_VARIABLE},
        "security": "none",
        "timeout": 5,
    }
    desk.mailbox(inbound=inbound | more)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")


def some_mails(count: int) -> dict[int, bytes]:
    return {uid: letter(f"Mail {uid}") for uid in range(1, count + 1)}


@pytest.mark.usefixtures("password")
def test_fault_14_15_unordered_repeated_and_old_uids_in_the_answers(desk: Desk) -> None:
    with served(desk, ImapDouble(some_mails(5))):
        for _ in range(3):  # the double names its last mail whatever range is asked for
            desk.healthy_poll()
    assert sorted(desk.titles()) == [f"Mail {n}" for n in range(1, 6)]


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("fault", ["refuses", "hangs_up_on", "cuts_short"])
def test_fault_16_17_one_mail_cannot_be_fetched(desk: Desk, fault: str) -> None:
    double = ImapDouble(some_mails(7))
    getattr(double, fault).add(4)
    start = datetime(2026, 5, 1, 8, tzinfo=UTC)
    with served(desk, double):
        with clock.fixed(start):
            first = desk.poll()
        others = [n for n in range(1, 8) if n != 4]
        assert sorted(desk.titles()) == [f"Mail {n}" for n in others], "they do not wait for it"
        assert any("mail 4 cannot be fetched" in error for error in first.errors), first.errors

        double.mails[8] = letter("Mail 8")
        tried, last = [0], first.errors
        for minutes in range(1, 90):
            with clock.fixed(start + timedelta(minutes=minutes)):
                report = desk.poll()
            tried += [minutes] if report.errors else []
            last = report.errors or last
        assert "Mail 8" in desk.titles()
        assert tried == [0, 1, 2, 7, 37], "longer and longer, then given up"
        assert "mail 4" in last[0]
        assert "given up; `kolibri quarantine release`" in last[0]
        assert states_of(desk).pop("4") == "quarantined"
        desk.healthy_poll()


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("fault", ["refuses", "hangs_up_on"])
def test_fault_16_17_a_mail_that_can_be_fetched_again_is_not_lost(desk: Desk, fault: str) -> None:
    double = ImapDouble(some_mails(3))
    getattr(double, fault).add(2)
    with served(desk, double):
        assert not desk.poll().ok
        getattr(double, fault).clear()
        desk.healthy_poll()
    assert sorted(desk.titles()) == ["Mail 1", "Mail 2", "Mail 3"]


def test_fault_15_names_that_tell_no_order_leave_the_order_of_arrival(desk: Desk) -> None:
    subjects = [f"Mail {number}" for number in range(1, 13)]
    desk.drop(*map(letter, subjects))
    now = clock.now().timestamp()
    for number, subject in enumerate(subjects):
        (file,) = [
            f
            for f in (desk.root / "mail/support/new").iterdir()
            if f"Subject: {subject}\r\n".encode() in f.read_bytes()
        ]
        aside = file.with_name(f"{number * 7 % 12}.host")  # sorted by name, they are in disorder
        os.utime(file.rename(aside), (now + number, now + number))

    desk.healthy_poll()

    assert desk.titles() == subjects


@pytest.mark.usefixtures("password")
def test_fault_22_a_refused_login_is_said_and_never_becomes_a_storm(new_desk: NewDesk) -> None:
    attempts: list[datetime] = []

    def refuse(stream: Line) -> None:
        stream.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
        while words := stream.readline().split():
            if words[1] == b"AUTHENTICATE":
                stream.write(b"+ \r\n")
                stream.readline()
                attempts.append(clock.now())
                stream.write(words[0] + b" NO [AUTHENTICATIONFAILED] no\r\n")
            else:
                stream.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + words[0] + b" OK done\r\n")

    desk = new_desk()
    start = datetime(2026, 5, 1, 8, tzinfo=UTC)
    with serving(refuse) as port:
        read_from(desk, port)
        for number in range(240):  # two hours of passes
            with clock.fixed(start + timedelta(seconds=30 * number)):
                report = desk.poll()
            (told,) = report.errors
            assert "does not let 'anna' in" in told or "login was refused" in told
    assert 2 <= len(attempts) <= 10, attempts
    gaps = [later - earlier for earlier, later in pairwise(attempts)]
    assert gaps == sorted(gaps), "longer and longer"

    with served(desk, ImapDouble(some_mails(1))), clock.fixed(start + timedelta(hours=4)):
        desk.healthy_poll()
    assert desk.titles() == ["Mail 1"]


def test_fault_22_a_password_that_is_not_there_is_said_and_the_others_are_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    desk.drop(letter("Request"))
    server = {"protocol": "imap", "host": "127.0.0.1", "port": 1, "user": "anna"}
    inbound = {**server, "password": {"env": PASSWORD_VARIABLE}}
    desk.folder.mailbox("forgotten", inbound=inbound)

    report = desk.poll()

    (told,) = report.errors
    assert told.startswith("Mailbox forgotten: ")
    assert PASSWORD_VARIABLE in told
    assert desk.titles() == ["Request"]
