"""Faults 10, 15, 18-20, 23: servers that count anew, hide, lie, chatter, fall silent, are full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kolibri_sdk import clock
from tests.faults.desk import Desk
from tests.faults.test_faults_09_17_mailbox import password as _password
from tests.faults.test_faults_09_17_mailbox import read_from, served, some_mails, states_of
from tests.project import letter
from tests.servers.scripted import ImapDouble, Line, serving

password = _password
pytestmark = pytest.mark.usefixtures("password")
START = datetime(2026, 5, 1, 8, tzinfo=UTC)


def numbered(*numbers: int) -> list[str]:
    return [f"Mail {number}" for number in numbers]


def test_fault_10_a_server_restored_from_a_backup_gives_its_uids_a_second_time(
    desk: Desk,
) -> None:
    """The UIDVALIDITY stays the same; UIDNEXT gives it away."""
    before = some_mails(5)
    double = ImapDouble(before, uidnext=6)
    with served(desk, double):
        desk.healthy_poll()
        double.mails = {uid: before[uid] for uid in (1, 2, 3)}  # 4 and 5 came after the backup
        double.uidnext = 4
        report = desk.healthy_poll()
        assert any("was made anew on the server" in told for told in report.refused)
        assert not report.counts["stored"]
        double.mails |= {4: letter("Other 4"), 5: letter("Other 5")}
        double.uidnext = 6
        desk.healthy_poll()
    assert sorted(desk.titles()) == [*numbered(1, 2, 3, 4, 5), "Other 4", "Other 5"]


def test_fault_10_a_wrong_uidnext_is_not_taken_for_a_restore(desk: Desk) -> None:
    double = ImapDouble(some_mails(5), uidnext=2)
    with served(desk, double):
        for _ in range(3):
            assert not desk.healthy_poll().refused
    assert sorted(desk.titles()) == numbered(1, 2, 3, 4, 5)


def test_fault_10_an_old_uidvalidity_that_comes_back(desk: Desk) -> None:
    """A folder renamed away and back: what was on the way when it went is fetched now."""
    double = ImapDouble(some_mails(3), refuses={2})
    with served(desk, double):
        desk.poll()
        double.mails, double.uidvalidity = {1: letter("Another")}, 8
        desk.healthy_poll()
        double.mails, double.uidvalidity, double.refuses = some_mails(4), 7, set()
        desk.healthy_poll()
        desk.healthy_poll()
    assert sorted(desk.titles()) == ["Another", *numbered(1, 2, 3, 4)]


@pytest.mark.parametrize("fetch", ["unread", "all"])
def test_fault_15_a_listing_with_a_hole_in_it_loses_nothing(desk: Desk, fetch: str) -> None:
    double = ImapDouble(some_mails(2))
    with serving(double.talk) as port:
        read_from(desk, port, fetch=fetch)
        desk.healthy_poll()
        desk.healthy_poll()
        double.mails |= some_mails(5)
        double.hides = {4}
        desk.healthy_poll()
        assert sorted(desk.titles()) == numbered(1, 2, 3, 5)
        double.hides = set()
        desk.healthy_poll()
    assert sorted(desk.titles()) == numbered(1, 2, 3, 4, 5)


@pytest.mark.parametrize("more", [-7, -1, 1, 40])
def test_fault_18_a_literal_of_another_length_than_announced(desk: Desk, more: int) -> None:
    """Nothing is stored that the server did not give whole; the others are fetched."""
    double = ImapDouble(some_mails(5), announces={3: more})
    with serving(double.talk) as port:
        read_from(desk, port, timeout=1)
        for minutes in range(4):
            with clock.fixed(START + timedelta(minutes=minutes)):
                report = desk.poll()
                assert minutes or report.errors
        double.announces.clear()
        with clock.fixed(START + timedelta(hours=1)):
            desk.healthy_poll()
    assert sorted(desk.titles()) == numbered(1, 2, 3, 4, 5)
    sizes = desk.column("SELECT size FROM kolibri_message WHERE direction = 'in'")
    assert sorted(sizes) == sorted(len(raw) for raw in double.mails.values())


CHATTER = {
    "new mail": b"* 9 EXISTS\r\n* 1 RECENT\r\n",
    "an expunge": b"* 2 EXPUNGE\r\n* 4 EXISTS\r\n",
    "flags of another": b"* 4 FETCH (FLAGS (\\Seen))\r\n* 5 FETCH (UID 5 FLAGS ())\r\n",
    "a warning": b"* OK [ALERT] the disk is nearly full\r\n* NO hm\r\n",
    "nonsense": b"* WHATEVER {} ) ( \\\r\n",
}


@pytest.mark.parametrize("chatter", CHATTER)
def test_fault_19_unasked_answers_in_the_middle_of_an_answer(desk: Desk, chatter: str) -> None:
    with served(desk, ImapDouble(some_mails(5), chatter=CHATTER[chatter])):
        desk.healthy_poll()
        assert not desk.healthy_poll().counts["stored"]
    assert sorted(desk.titles()) == numbered(1, 2, 3, 4, 5)
    assert set(states_of(desk).values()) == {"stored"}


@pytest.mark.parametrize("where", ["greeting", "AUTHENTICATE", "SELECT", "SEARCH", "FETCH"])
def test_fault_20_a_server_that_falls_silent_is_left_and_the_others_are_read(
    desk: Desk, where: str
) -> None:
    desk.drop(letter("By the other mailbox"))
    other = {"protocol": "maildir", "path": "mail/support"}
    double = ImapDouble(some_mails(2), silent_at=where.encode())
    with serving(double.talk) as port:
        read_from(desk, port, timeout=0.3)
        desk.folder.mailbox("other", inbound=other)
        report = desk.poll()
        (told,) = report.errors
        assert told.startswith("Mailbox support: ")
        states = desk.rows("SELECT mailbox, state FROM kolibri_message")
        assert states == [("other", "parsed")] or states == [("other", "done")]
        double.silent_at = b""
        desk.healthy_poll()
    assert sorted(desk.titles()) == numbered(1, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"NO [LIMIT] too many connections",
        b"NO [INUSE] mailbox is in use",
        b"NO [OVERQUOTA] over quota",
        b"NO [UNAVAILABLE] try again later",
    ],
)
def test_fault_23_a_server_that_is_too_busy_is_said_to_be_and_read_later(
    desk: Desk, answer: bytes
) -> None:
    double = ImapDouble(some_mails(2), login_answer=answer)
    with served(desk, double):
        with clock.fixed(START):
            report = desk.poll()
        (told,) = report.errors
        assert answer.partition(b"] ")[2].decode() in told
        assert double.connections == 1, "no storm"
        double.login_answer = b""
        with clock.fixed(START + timedelta(hours=2)):
            desk.healthy_poll()
    assert sorted(desk.titles()) == numbered(1, 2)


def test_faults_16_17_one_poison_among_a_thousand_keeps_nobody_waiting(desk: Desk) -> None:
    double = ImapDouble(some_mails(1000), hangs_up_on={500})
    with served(desk, double):
        report = desk.poll()
    assert report.counts["stored"] == 999
    assert len(desk.titles()) == 999
    assert [state for state in states_of(desk).values() if state != "stored"] == ["failing"]


def test_fault_17_many_poisons_at_once_do_not_stop_the_others_for_ever(desk: Desk) -> None:
    poison = set(range(1, 60))
    double = ImapDouble(some_mails(80), hangs_up_on=poison)
    with served(desk, double):
        for minutes in range(4):
            with clock.fixed(START + timedelta(minutes=minutes)):
                desk.poll()
        assert sorted(desk.titles()) == sorted(numbered(*range(60, 81)))
        assert {states_of(desk)[str(uid)] for uid in poison} == {"failing"}


def test_quarantine_is_listed_shown_and_released(desk: Desk) -> None:
    double = ImapDouble(some_mails(3), refuses={2})
    with served(desk, double):
        for minutes in range(0, 60, 3):
            with clock.fixed(START + timedelta(minutes=minutes)):
                desk.poll()
        desk.close()
        listed = desk.folder.kolibri("quarantine", "list")
        assert listed.returncode == 0
        assert "cannot read that one" in listed.stdout
        shown = desk.folder.kolibri("quarantine", "show", "support", "2")
        assert "It could not be fetched, and was given up." in shown.stdout
        status = desk.folder.kolibri("status")
        assert status.returncode == 1
        assert "support: 1 mail could not be fetched and were given up" in status.stderr
        assert desk.folder.kolibri("quarantine", "release", "support").returncode == 2
        assert desk.folder.kolibri("quarantine", "release", "support", "9").returncode == 2
        released = desk.folder.kolibri("quarantine", "release", "support", "2")
        assert released.stdout == "Mailbox support: 1 mail released; the next pass fetches.\n"
        double.refuses.clear()
        desk.healthy_poll()
    assert sorted(desk.titles()) == numbered(1, 2, 3)


def test_a_bare_line_that_is_no_imap_is_told(desk: Desk) -> None:
    def talk(stream: Line) -> None:
        stream.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(talk) as port:
        read_from(desk, port)
        (told,) = desk.poll().errors
        assert told.startswith("Mailbox support: ")
