"""Fault 23: servers that have enough of us are left alone, longer each time; mail is not lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from kolibri_sdk import clock
from tests.faults.desk import Desk
from tests.project import letter
from tests.servers.dovecot import PASSWORD_VARIABLE
from tests.servers.scripted import ImapDouble, Line, Pop3Double, serving

START = datetime(2026, 5, 1, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")


def side(protocol: str, port: int) -> dict[str, object]:
    return {
        "protocol": protocol,
        "host": "127.0.0.1",
        "port": port,
        "user": "anna",
        "password": {"env": PASSWORD_VARIABLE},
        "security": "none",
        "timeout": 5,
    }


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [
        ("imap", b"* BYE [UNAVAILABLE] Too many connections\r\n"),
        ("imap", b"* BYE [ALERT] Too many simultaneous connections. (Failure)\r\n"),
        ("pop3", b"-ERR [SYS/TEMP] come back later\r\n"),
        ("pop3", b"-ERR [IN-USE] the mailbox is locked\r\n"),
    ],
)
def test_fault_23_a_server_that_turns_us_away_is_not_stormed(
    desk: Desk, protocol: str, greeting: bytes
) -> None:
    visits: list[datetime] = []

    def turn_away(stream: Line) -> None:
        visits.append(clock.now())
        stream.write(greeting)

    with serving(turn_away) as port:
        desk.mailbox(inbound=side(protocol, port))
        for number in range(120):  # an hour of passes
            with clock.fixed(START + timedelta(seconds=30 * number)):
                (told,) = desk.poll().errors
            assert "cannot have us now" in told or "server too busy" in told
    assert 2 <= len(visits) <= 8, visits
    gaps = [later - earlier for earlier, later in pairwise(visits)]
    assert gaps == sorted(gaps), "longer and longer"
    assert gaps[-1] <= timedelta(minutes=16), "a busy server is asked four times an hour"

    double = ImapDouble({1: letter("One")}) if protocol == "imap" else Pop3Double([letter("One")])
    with serving(double.talk) as port, clock.fixed(START + timedelta(hours=2)):
        desk.mailbox(inbound=side(protocol, port))
        desk.healthy_poll()
    assert desk.titles() == ["One"]


@pytest.mark.parametrize(
    "answer", ["421 4.7.0 too many connections", "535 5.7.8 no", "454 4.7.0 later"]
)
def test_fault_23_a_submission_server_that_turns_us_away_is_not_stormed(
    desk: Desk, answer: str
) -> None:
    visits: list[datetime] = []

    def turn_away(stream: Line) -> None:
        visits.append(clock.now())
        if answer.startswith("421"):
            stream.write(answer.encode() + b"\r\n")
            return
        stream.write(b"220 ready\r\n")
        while words := stream.readline().split():
            if words[0].upper() == b"EHLO":
                stream.write(b"250-here\r\n250 AUTH PLAIN\r\n")
            elif words[0] == b"AUTH":
                stream.write(answer.encode() + b"\r\n")
            else:
                stream.write(b"221 bye\r\n")
                return

    with serving(turn_away) as port:
        desk.mailbox(outbound=side("smtp", port))
        desk.folder.template("news", en_subject="News", en_txt="News.\n")
        told = {"on": "insert", "to": {"list": "ben@customer.example"}, "template": "news"}
        desk.folder.document("rules/outbound/incident/tell.yaml", {**told, "mailbox": "support"})
        desk.drop(letter("One"))
        for number in range(60):  # half an hour of passes
            with clock.fixed(START + timedelta(seconds=30 * number)):
                report = desk.poll()
            assert any("wait in the outbox" in error for error in report.errors), report.errors
    assert 2 <= len(visits) <= 7, visits
    assert desk.titles() == ["One"], "what comes in is not held up"
