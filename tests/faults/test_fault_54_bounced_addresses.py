"""Fault 54: a bounce tells the mail that came back and marks its address; a person clears it."""

from __future__ import annotations

import json
from email.message import EmailMessage
from typing import Any

import pytest

from kolibri_sdk import connect
from kolibri_sdk.cli import app
from tests.faults.desk import Desk
from tests.project import letter

ANNA, BOB = "anna@customer.example", "bob@customer.example"

BOUNCE = """\
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce{number}@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

I'm sorry to have to inform you.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {whom}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} said the server

--b
Content-Type: text/rfc822-headers

Message-ID: {returned}

--b--
"""
_numbers = iter(range(1000))


def bounce(returned: str, whom: str = ANNA, **values: str) -> bytes:
    """A bounce of the mail with this Message-ID."""
    given = {"to": "support@kolibri.example", "action": "failed", "status": "5.1.1", **values}
    return BOUNCE.format(returned=returned, whom=whom, number=next(_numbers), **given).encode()


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """A desk that makes incidents of mails, and writes to two customers when one is changed."""
    desk.mailbox(plus_addressing=True, answers_per_hour=50)
    desk.folder.template("changed", en_subject="Changed", en_txt="Changed.")
    desk.folder.document(
        "rules/outbound/incident/changed.yaml",
        {
            "on": [{"change": "title"}],
            "to": [{"list": f"{ANNA}, {BOB}"}],
            "template": "changed",
            "mailbox": "support",
        },
    )
    desk.drop(letter("Request"))
    desk.healthy_poll()
    return desk


def change(desk: Desk) -> None:
    """A change of the incident, which is mailed in this pass."""
    with desk.system.store.write() as tx:
        tx.exec_driver_sql("UPDATE incident SET title = title || '!'")
    desk.healthy_poll()


def come_back(desk: Desk, *mails: bytes) -> None:
    desk.drop(*mails)
    desk.healthy_poll()


def outbox(desk: Desk) -> list[tuple[Any, ...]]:
    rows = desk.rows("SELECT recipients, state FROM kolibri_outbox ORDER BY id")
    return [(json.loads(people), state) for people, state in rows]


def results(desk: Desk) -> dict[str, str]:
    (text,) = desk.column("SELECT results FROM kolibri_outbox ORDER BY id LIMIT 1")
    return {address: result["status"] for address, result in json.loads(text).items()}


def marks(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows(
        "SELECT address, permanent, temporary, since IS NOT NULL FROM kolibri_bounced_address"
    )


def last(desk: Desk) -> EmailMessage:
    return desk.sent()[-1]


def test_a_bounce_tells_the_mail_and_the_next_one_to_the_address_is_held(desk: Desk) -> None:
    change(desk)
    assert outbox(desk) == [([ANNA, BOB], "sent")]
    come_back(desk, bounce(last(desk)["Message-ID"]))

    assert results(desk) == {ANNA: "bounced", BOB: "accepted"}
    assert outbox(desk) == [([ANNA, BOB], "sent")], "Bob has it"
    (error,) = desk.column("SELECT error FROM kolibri_outbox")
    assert error == f"{ANNA}: the mail came back (550 5.1.1 said the server)"
    assert marks(desk) == [(ANNA, 1, 0, 1)]
    noted = desk.column("SELECT text FROM kolibri_activity WHERE kind = 'mail_failed'")
    assert noted == [error]

    change(desk)
    assert outbox(desk)[1:] == [([ANNA], "held"), ([BOB], "sent")]
    (why,) = desk.column("SELECT error FROM kolibri_outbox WHERE state = 'held'")
    assert "came back since" in why
    assert f"kolibri bounced clear {ANNA}" in why
    assert len(desk.sent()) == 2


def test_a_mail_that_nobody_got_has_failed(desk: Desk) -> None:
    change(desk)
    name = last(desk)["Message-ID"]
    come_back(desk, bounce(name), bounce(name, BOB))
    assert outbox(desk) == [([ANNA, BOB], "failed")]
    states = desk.rows("SELECT state, error FROM kolibri_message WHERE direction = 'out'")
    assert [state for state, _ in states] == ["unsent"]
    assert BOB in states[0][1]


def test_the_token_in_the_address_leads_to_the_mail_where_nothing_was_returned(desk: Desk) -> None:
    change(desk)
    token = last(desk)["Message-ID"].strip("<>").split("@")[0].removeprefix("kr1.")
    come_back(desk, bounce("", to=f"support+{token}@kolibri.example"))
    assert results(desk)[ANNA] == "bounced"


@pytest.mark.parametrize(
    ("status", "action", "fate"),
    [
        ("4.4.7", "delayed", "delayed"),
        ("4.4.7", "failed", "bounced"),
        ("5.2.2", "failed", "bounced"),
    ],
)
def test_what_says_nothing_of_the_address_is_counted_and_holds_nothing(
    desk: Desk, status: str, action: str, fate: str
) -> None:
    change(desk)
    come_back(desk, bounce(last(desk)["Message-ID"], status=status, action=action))
    assert results(desk)[ANNA] == fate
    assert marks(desk) == [(ANNA, 0, 1, 0)]
    change(desk)
    assert outbox(desk)[1:] == [([ANNA, BOB], "sent")]


def test_a_bounce_of_no_mail_of_ours_marks_nobody(desk: Desk) -> None:
    change(desk)
    come_back(desk, bounce("<guessed@kolibri.example>"))
    come_back(desk, bounce("", to="support+" + "a" * 52 + "@kolibri.example"))
    come_back(desk, bounce(last(desk)["Message-ID"], "somebody@else.example"))
    assert marks(desk) == []
    assert results(desk) == {ANNA: "accepted", BOB: "accepted"}


def test_a_report_that_the_mail_arrived_marks_nobody(desk: Desk) -> None:
    change(desk)
    come_back(desk, bounce(last(desk)["Message-ID"], action="delivered", status="2.0.0"))
    assert marks(desk) == []


def test_a_person_clears_the_mark_and_sends_what_was_held(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    change(desk)
    come_back(desk, bounce(last(desk)["Message-ID"]))
    change(desk)
    desk.close()

    def kolibri(*words: str) -> str:
        app([*words, "--project", str(desk.root)], standalone_mode=False)
        return capsys.readouterr().out

    assert ANNA in kolibri("bounced", "list")
    (told,) = json.loads(kolibri("bounced", "list", "--json"))
    assert (told["address"], told["permanent"], told["status"]) == (ANNA, 1, "5.1.1")
    assert "1 held mail goes out" in kolibri("bounced", "clear", ANNA.upper(), "--release")
    desk.healthy_poll()
    assert [mail["To"] for mail in desk.sent()].count(ANNA) == 1
    change(desk)
    assert outbox(desk)[-1] == ([ANNA, BOB], "sent")


def test_an_address_that_never_bounced_cannot_be_cleared(desk: Desk) -> None:
    desk.close()
    with connect(project=desk.root) as k:
        with pytest.raises(LookupError, match="bounced address"):
            k.bounced.clear("x@y.example")
        assert k.bounced.frame().empty


def test_a_mail_to_one_came_back_from_him_whatever_he_is_called_behind(desk: Desk) -> None:
    rule = desk.root / "rules/outbound/incident/changed.yaml"
    rule.write_text(rule.read_text().replace(f", {BOB}", ""))
    change(desk)
    come_back(desk, bounce(last(desk)["Message-ID"], "a.kuehn@behind.example"))
    assert marks(desk) == [(ANNA, 1, 0, 1)]
    assert outbox(desk) == [([ANNA], "failed")]
