"""Faults 49-53: a server that refuses, hesitates or hangs up at each step of the dialogue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kolibri_sdk import Kolibri, PassReport, clock
from kolibri_sdk.client.outbox import OutboxView
from tests.faults.desk import ENTITY
from tests.project import ProjectFolder
from tests.servers.scripted import serving
from tests.servers.smtp_double import STEPS, SmtpDouble

ANNAS, TOMS = "anna@customer.example", "tom@customer.example"


class Desk:
    """Mail by hand, through a server that does as it is told."""

    def __init__(self, folder: ProjectFolder, server: SmtpDouble, port: int) -> None:
        self.folder, self.server, self.port = folder, server, port
        folder.document("rules/entities/incident.yaml", ENTITY)
        self.mailbox()
        self.k: Kolibri = folder.open()
        self.record = self.k.records["incident"].insert(title="VPN is down")

    def mailbox(self, **outbound: Any) -> None:
        login = {"user": "support", "password": {"env": "SMTP_PASSWORD"}}
        side = {"protocol": "smtp", "host": "127.0.0.1", "port": self.port, "security": "none"}
        self.folder.mailbox("support", outbound={**side, "timeout": 0.5, **login, **outbound})

    def mail(self, *people: str, text: str = "Hello") -> OutboxView:
        sent = self.record.mail(to=people or [ANNAS], text=text)
        assert isinstance(sent, OutboxView)
        return sent

    def poll(self, **later: float) -> PassReport:
        with clock.fixed(clock.now() + timedelta(**later)):
            (report,) = self.k.poll(passes=1)
        return report

    def got(self) -> list[str]:
        return sorted(person for people, _ in self.server.taken for person in people)


@pytest.fixture
def desk(folder: ProjectFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    monkeypatch.setattr("kolibri_sdk.mailboxes.smtp.FINAL_PATIENCE", 2)
    server = SmtpDouble()
    with serving(server.talk) as port:
        made = Desk(folder, server, port)
        yield made
        made.k.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Any) -> ProjectFolder:
    if request.param == "sqlite":
        return ProjectFolder(tmp_path)
    made = ProjectFolder(tmp_path, request.getfixturevalue("postgresql")())
    made.upgrade()
    return made


#: At which steps an answer of which class leaves the mail in which state.
REFUSED = {
    ("temporary", step): "queued" for step in STEPS if step != "STARTTLS"
} | {
    ("permanent", step): "failed" for step in ("MAIL", "RCPT", "DATA", "dot")
} | {("permanent", step): "queued" for step in ("connect", "EHLO", "AUTH")}  # fmt: skip


@pytest.mark.parametrize(("kind", "step"), sorted(REFUSED))
def test_fault_49_a_refusal_at_each_step_has_its_class(desk: Desk, kind: str, step: str) -> None:
    code = {"temporary": "451", "permanent": "550"}[kind]
    desk.server.answers[step] = f"{code} no, said at {step}"
    sent = desk.mail()

    report = desk.poll()

    assert sent.state == REFUSED[kind, step], report.errors
    assert not report.ok or step == "RCPT"
    told = "\n".join([*report.errors, sent.error])
    assert f"no, said at {step}" in told or step == "EHLO", told
    desk.server.answers.clear()
    desk.poll(hours=5)
    assert desk.got() == ([ANNAS] if REFUSED[kind, step] == "queued" else [])
    assert sent.state == ("sent" if REFUSED[kind, step] == "queued" else "failed")


@pytest.mark.parametrize("how", ["drop", "silence"])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "STARTTLS"])
def test_fault_49_51_a_lost_line_at_each_step(desk: Desk, step: str, how: str) -> None:
    desk.server.answers[step] = how
    sent = desk.mail()

    report = desk.poll()

    assert sent.state == ("uncertain" if step == "dot" else "queued"), report.errors
    assert not report.ok
    assert "127.0.0.1" in report.errors[0]
    desk.server.answers.clear()
    desk.poll(hours=5)
    assert desk.got() == [ANNAS], "once, whatever happened"


def test_fault_50_each_of_many_recipients_has_its_fate(desk: Desk) -> None:
    desk.server.answers = {TOMS: "450 full", "gone@x.example": "550 5.1.1 nobody"}
    sent = desk.mail(ANNAS, TOMS, "gone@x.example")
    desk.poll()
    assert {who: one["status"] for who, one in sent.results.items()} == {
        ANNAS: "accepted",
        TOMS: "temporary",
        "gone@x.example": "permanent",
    }
    desk.server.answers = {"MAIL": "550 not today"}
    desk.poll(minutes=5)
    assert sent.state == "sent", "for Anna has it"
    assert sent.results[TOMS]["status"] == "permanent"
    assert desk.got() == [ANNAS]


def test_fault_51_uncertain_mail_is_sent_again_where_the_mailbox_wants_it(desk: Desk) -> None:
    desk.mailbox(uncertain="resend")
    desk.server.answers["dot"] = "drop"
    desk.server.accepts = False
    sent = desk.mail()

    report = desk.poll()

    assert (sent.state, report.counts["retried"]) == ("queued", 1)
    assert sent.results[ANNAS]["status"] == "uncertain"
    assert "sent again with the same Message-ID" in sent.error
    desk.server.answers.clear()
    assert desk.poll(minutes=5).counts["sent"] == 1
    ((_, content),) = desk.server.taken
    assert sent.message_id.encode() in content
    assert sent.results[ANNAS]["status"] == "accepted"


def test_fault_51_a_mail_that_was_answered_has_gone_out(desk: Desk) -> None:
    from kolibri_sdk.store import messages

    desk.server.answers["dot"] = "drop"
    sent = desk.mail()
    desk.poll()
    assert sent.state == "uncertain"
    with desk.k._system.store.write() as tx:  # as a reply that came in leaves it
        messages.insert_outgoing(
            tx, number=900, mailbox="support", message_id="reply@x", sender=None or _anna(),
            to=[], record=sent.record, cause=sent.message,
        )  # fmt: skip
        messages.save_outgoing(tx, 900, direction="in", state="done")
    report = desk.poll(minutes=5)
    assert (sent.state, report.counts["sent"]) == ("sent", 1)
    assert sent.results[ANNAS]["answer"] == "message 900 answers it"
    assert desk.got() == [ANNAS], "and was not sent again"


def _anna() -> Any:
    from kolibri_sdk.model.message import Address

    return Address(ANNAS)


def test_fault_53_greylisting_and_what_the_server_does_not_offer(desk: Desk) -> None:
    desk.server.extensions = ("AUTH PLAIN",)  # neither SIZE nor 8BITMIME nor SMTPUTF8
    desk.server.answers["RCPT"] = "451 4.7.1 greylisted"
    sent = desk.mail(ANNAS, "j\u00fcrgen@x.example", text="Gr\u00fc\u00dfe \U0001f426 " * 50)
    desk.poll()
    assert sent.state == "queued"
    desk.server.answers.clear()
    assert desk.poll(minutes=3).counts["sent"] == 1
    ((people, content),) = desk.server.taken
    assert people == (ANNAS,)
    assert content.isascii(), "7 bits, for the server offers no more"
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert "SMTPUTF8" in sent.results["j\u00fcrgen@x.example"]["answer"]


def test_fault_53_too_large_is_said_with_figure_and_limit_before_it_is_sent(desk: Desk) -> None:
    desk.server.extensions = ("AUTH PLAIN", "SIZE 2000")
    sent = desk.mail(text="x" * 3000)
    desk.poll()
    assert sent.state == "failed"
    assert "bytes and the server takes 2000" in sent.error
    assert not any(one.startswith("DATA") for one in desk.server.commands)


def test_one_connection_takes_many_mails_and_is_made_anew_after_so_many(desk: Desk) -> None:
    for _ in range(5):
        desk.mail()
    assert desk.poll().counts["sent"] == 5
    assert (desk.server.connections, desk.server.commands.count("RSET")) == (1, 0)
    desk.mailbox(mails_per_connection=2)
    for _ in range(5):
        desk.mail()
    assert desk.poll().counts["sent"] == 5
    assert desk.server.connections == 1 + 3


def test_a_server_that_ends_the_line_after_some_mails_gets_the_next_on_a_new_one(
    desk: Desk,
) -> None:
    desk.server.most_mails = 2
    for _ in range(5):
        desk.mail()
    report = desk.poll()
    assert (report.counts["sent"], report.errors) == (5, [])
    assert desk.server.connections == 3


def test_no_more_mails_than_the_rate_of_the_mailbox(desk: Desk) -> None:
    desk.mailbox(rate="3/minute")
    for _ in range(8):
        desk.mail()
    assert [desk.poll(seconds=30 * number).counts["sent"] for number in range(7)] == [
        3, 0, 3, 0, 2, 0, 0,
    ]  # fmt: skip
    assert len(desk.server.taken) == 8


def test_retries_are_as_the_mailbox_says(desk: Desk) -> None:
    desk.mailbox(retry={"attempts": 3, "first": 5, "longest": 8})
    desk.server.answers["MAIL"] = "451 later"
    sent = desk.mail()
    at = clock.now()
    for number in range(3):
        with clock.fixed(at + timedelta(seconds=10 * number)):
            list(desk.k.poll(passes=1))
    assert (sent.state, sent.attempts) == ("failed", 3)
    assert "gave up after 3 tries" in sent.error
