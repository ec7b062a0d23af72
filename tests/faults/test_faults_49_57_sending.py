"""Faults 49-57: servers that refuse, hesitate or hang up; bounces, loops, forged headers."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from kolibri_sdk import PassReport, clock, connect
from tests.faults.conftest import NewDesk, Run
from tests.faults.desk import INCIDENT, Desk
from tests.project import letter
from tests.servers.sink import Sink

PEOPLE = ["fine@customer.example", "greylisted@customer.example", "unknown@customer.example"]


class Moody(Sink):
    """Answers each stage as it is told to; ``moods`` are answers by stage or recipient."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.moods: dict[str, str] = {}
        self.hangs_up: str = ""  #: "before" or "after" the mail was kept

    async def handle_MAIL(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address or "<>"
        return self.moods.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.moods.get(address, self.moods.get("RCPT", "250 OK"))
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hangs_up:
            if self.hangs_up == "after":
                await super().handle_DATA(server, session, envelope)
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 too late"
        if "DATA" in self.moods:
            return self.moods["DATA"]
        return await super().handle_DATA(server, session, envelope)


def outbound(port: int, **more: Any) -> dict[str, Any]:
    return {
        "protocol": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "timeout": 5,
        **more,
    }


class Sending:
    """A desk whose rule writes to some people about each mail, by a moody server."""

    def __init__(self, desk: Desk, server: Moody, people: list[str]) -> None:
        self.desk = desk
        self.server = server
        desk.mailbox(outbound=outbound(server.port))
        then = [
            *INCIDENT["then"],  # type: ignore[misc]
            {"send_mail": {"template": "received", "to": [{"list": ", ".join(people)}]}},
        ]
        desk.rule("incident", INCIDENT | {"then": then})
        desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
        desk.drop(letter("Request"))

    def state(self) -> str:
        (state,) = self.desk.column("SELECT state FROM kolibri_outbox")
        return str(state)

    def later(self, **times: float) -> PassReport:
        """A pass so much later."""
        with clock.fixed(clock.now() + timedelta(**times)):
            return self.desk.poll()

    def got(self) -> Counter[str]:
        """How often each person got the mail."""
        return Counter(person for taken in self.server.taken for person in taken.recipients)


@pytest.fixture
def server() -> Iterator[Moody]:
    with Moody() as started:
        assert isinstance(started, Moody)
        yield started


@pytest.fixture
def sending(desk: Desk, server: Moody) -> Sending:
    """To one person."""
    return Sending(desk, server, PEOPLE[:1])


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_fault_49_53_a_temporary_refusal_is_tried_again_later(sending: Sending, stage: str) -> None:
    sending.server.moods[stage] = "451 4.7.1 greylisted, come back"

    report = sending.desk.poll()

    assert (sending.state(), report.counts["retried"]) == ("queued", 1)
    ((error,),) = sending.desk.rows("SELECT error FROM kolibri_outbox")
    assert "greylisted" in error
    assert sending.desk.titles() == ["Request"]
    sending.server.moods.clear()
    assert sending.later(seconds=20).counts["sent"] == 0, "not at once"
    assert sending.later(minutes=2).counts["sent"] == 1
    assert sending.got() == Counter(PEOPLE[:1])
    assert sending.state() == "sent"


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_fault_49_a_final_refusal_is_told_and_not_tried_again(sending: Sending, stage: str) -> None:
    sending.server.moods[stage] = "550 5.7.1 we do not want this"

    report = sending.desk.poll()

    assert (sending.state(), report.counts["failed"]) == ("failed", 1)
    ((error,),) = sending.desk.rows("SELECT error FROM kolibri_outbox")
    assert "we do not want this" in error
    ((text,),) = sending.desk.rows("SELECT text FROM kolibri_activity WHERE kind = 'mail_failed'")
    assert PEOPLE[0] in text
    sending.server.moods.clear()
    assert not any(sending.later(hours=5).counts.values())
    assert sending.got() == Counter()


def test_fault_49_a_mail_that_is_refused_for_ever_is_given_up_at_last(sending: Sending) -> None:
    sending.server.moods["RCPT"] = "450 busy"
    for number in range(20):
        sending.later(hours=5 * number)
    ((state, attempts, error),) = sending.desk.rows(
        "SELECT state, attempts, error FROM kolibri_outbox"
    )
    assert (state, attempts) == ("failed", 12)
    assert "gave up after 12 tries" in error


def test_fault_50_each_recipient_has_a_fate_of_its_own(desk: Desk, server: Moody) -> None:
    sending = Sending(desk, server, PEOPLE)
    fine, greylisted, unknown = PEOPLE
    server.moods = {greylisted: "450 come back", unknown: "550 5.1.1 nobody here"}

    desk.poll()

    assert sending.state() == "queued"
    assert sending.got() == Counter([fine])
    server.moods.pop(greylisted)
    sending.later(minutes=2)
    assert sending.state() == "sent"
    assert sending.got() == Counter([fine, greylisted]), "nobody got it twice"
    ((error,),) = desk.rows("SELECT error FROM kolibri_outbox")
    assert f"{unknown}: 550" in error
    assert not any(sending.later(hours=5).counts.values())


@pytest.mark.parametrize("kept", ["before", "after"])
def test_fault_51_the_line_is_lost_after_the_dot(sending: Sending, kept: str) -> None:
    """Whether the server has kept the mail cannot be known: it is told, and not sent again."""
    sending.server.hangs_up = kept

    report = sending.desk.poll()

    assert (sending.state(), report.counts["uncertain"]) == ("uncertain", 1)
    assert any("may have gone out" in error for error in report.errors), report.errors
    ((text,),) = sending.desk.rows(
        "SELECT text FROM kolibri_activity WHERE kind = 'mail_uncertain'"
    )
    assert PEOPLE[0] in text
    sending.server.hangs_up = ""
    assert not any(sending.later(hours=5).counts.values())
    assert sending.got().total() == (kept == "after")


@pytest.mark.parametrize("where", ["send.before_data", "send.after_data", "send.handed_over"])
def test_fault_52_we_are_killed_in_that_window(sending: Sending, run_pass: Run, where: str) -> None:
    assert run_pass(str(sending.desk.root), at=where)["status"] == -9

    report = sending.desk.poll()

    assert (sending.state(), report.counts["uncertain"]) == ("uncertain", 1)
    assert not any(sending.later(hours=5).counts.values())
    assert sending.got().total() == (where != "send.before_data")


def test_fault_53_a_mail_larger_than_the_server_takes(desk: Desk) -> None:
    with Moody(data_size_limit=100) as server:
        assert isinstance(server, Moody)
        sending = Sending(desk, server, PEOPLE[:1])
        report = desk.poll()
        assert sending.state() == "failed"
        assert any("and the server takes 100" in error for error in report.errors), report.errors
        assert sending.got() == Counter()


def test_fault_53_starttls_was_taken_out_of_the_offer(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    login = {"user": "support", "password": {"env": "SMTP_PASSWORD"}, "security": "starttls"}
    sending.desk.mailbox(outbound=outbound(sending.server.port, **login))

    report = sending.desk.poll()

    assert any("offers no STARTTLS" in error for error in report.errors), report.errors
    assert (sending.state(), sending.got()) == ("queued", Counter())
    sending.desk.mailbox(outbound=outbound(sending.server.port))
    assert sending.later(minutes=5).counts["sent"] == 1


def answering(desk: Desk) -> Desk:
    """The desk makes an incident of every mail, and answers it."""
    then = [
        *INCIDENT["then"],  # type: ignore[misc]
        {"send_mail": {"template": "received", "to": {"js": "message.from.address"}}},
    ]
    desk.rule("incident", INCIDENT | {"then": then})
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    return desk


BOUNCE = """\
Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: support@kolibri.example
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <bounce{number}@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

I'm sorry to have to inform you.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {to}
Action: failed
Status: 5.1.1

--b
Content-Type: message/rfc822

{sent}
--b--
"""


def test_fault_54_a_bounce_of_our_mail_belongs_to_its_record_and_starts_nothing(
    desk: Desk,
) -> None:
    answering(desk)
    desk.drop(letter("Request"))
    desk.healthy_poll()
    (sent,) = desk.sent()

    for number in range(20):
        desk.drop(BOUNCE.format(number=number, to=sent["To"], sent=sent.as_string()).encode())
        desk.healthy_poll()

    assert desk.titles() == ["Request"], "no incident of a bounce"
    assert len(desk.sent()) == 1, "and no answer to it"
    bounces = desk.rows(
        "SELECT entity, record_key, state FROM kolibri_message WHERE kind = 'bounce'"
    )
    assert bounces == [("incident", "1", "done")] * 20, "each is tied to the record"


def carried(sender: Desk, receiver: Desk) -> int:
    """Bring what one desk has sent to the other one's mailbox."""
    folder = sender.root / "mail/sent/new"
    files = sorted(folder.iterdir()) if folder.exists() else []
    for file in files:
        receiver.drop(file.read_bytes())
        file.unlink()
    return len(files)


def two_desks(new_desk: NewDesk) -> tuple[Desk, Desk]:
    ours, theirs = answering(new_desk()), answering(new_desk())
    theirs.mailbox(address="help@other.example")
    return ours, theirs


def test_fault_55_two_desks_that_answer_each_other(new_desk: NewDesk) -> None:
    ours, theirs = two_desks(new_desk)
    ours.drop(letter("Request", sender="help@other.example"))
    out = 0
    for _ in range(200):
        ours.healthy_poll()
        out += carried(ours, theirs)
        theirs.healthy_poll()
        out += carried(theirs, ours)
    assert 1 <= out <= 2


def test_fault_55_a_responder_that_says_nothing_of_being_one(new_desk: NewDesk) -> None:
    """It answers like a person; that its mails are alike gives it away."""
    desk = answering(new_desk())
    desk.drop(letter("Request"))
    out = 0
    for number in range(100):
        report = desk.poll()
        for mail in desk.sent():
            out += 1
            desk.drop(letter(f"Request {out}", f"You wrote {mail['Subject']}"))
        shutil.rmtree(desk.root / "mail/sent/new", ignore_errors=True)
        if number > 10:
            assert not report.counts["sent"]
    assert out <= 2
    held = desk.rows("SELECT state, error FROM kolibri_outbox WHERE state = 'held'")
    assert held, "what was not sent is there to be seen"
    assert "answers_alike_per_hour of mailbox support" in held[0][1]


FORGED = {
    "X-Kolibri-Record": "incident/1",
    "X-Kolibri-Reference": "incident:1",
    "X-Kolibri-Mailbox": "sales",
    "X-Kolibri-Kind": "ordinary",
    "X-Kolibri-Verified": "yes",
}


def test_fault_57_headers_of_ours_mean_nothing_on_incoming_mail(desk: Desk) -> None:
    desk.rule(
        "forged",
        {
            "order": 1,
            "when": 'Object.keys(message.headers).some(name => name.startsWith("x-kolibri"))',
        },
    )
    desk.drop(letter("Request"))
    desk.healthy_poll()

    desk.drop(letter("Forged", sender="eve@elsewhere.example", **FORGED))
    desk.healthy_poll()

    assert desk.titles() == ["Request", "Forged"], "it is a mail like any other"
    rules = desk.column("SELECT rule FROM kolibri_decision WHERE message = 2 AND verdict = 'match'")
    assert rules == ["incident"], "no rule sees them"
    ((headers,),) = desk.rows("SELECT headers FROM kolibri_message WHERE subject = 'Forged'")
    assert "kolibri-record" not in str(headers).lower()


def test_fault_57_a_forged_authentication_result_means_nothing(desk: Desk) -> None:
    desk.mailbox(trusted_authserv=["mx.kolibri.example"])
    believes = "message.from.address === 'boss@kolibri.example' && "
    believes += "message.authentication?.dmarc === 'pass'"
    desk.rule("incident", INCIDENT | {"when": believes})
    ours = "Authentication-Results: mx.kolibri.example; spf={0}; dkim={0}; dmarc={0}\n"
    forged = (
        "",
        ours.format("fail") + ours.format("pass"),
        "Authentication-Results: mx.evil.example; dmarc=pass\n",
        "X-Kolibri-Authentication: pass\n",
    )
    for number, head in enumerate((*forged, ours.format("pass"))):
        mail = letter(f"Pay {number}", sender="boss@kolibri.example")
        desk.drop(head.encode() + mail)
    desk.healthy_poll()
    assert desk.titles() == [f"Pay {len(forged)}"], "only what our own server vouches for"
    with connect(project=desk.root) as k:
        frame = k.messages.frame(direction="in").set_index("subject")
    assert list(frame["dmarc"].fillna("")) == ["", "fail", "", "", "pass"]
    assert str(frame["spf"].dtype) == "string"
