"""S2: outgoing mail leaves by SMTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import Desk
from tests.project import letter
from tests.servers.sink import Sink


class PickySink(Sink):
    """Takes mail for everybody but these recipients."""

    def __init__(self, **refused: str) -> None:
        self.refused = refused
        super().__init__()

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if answer := self.refused.get(address.partition("@")[0]):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"


def plain_smtp(sink: Sink) -> dict[str, Any]:
    return {"protocol": "smtp", "host": "127.0.0.1", "port": sink.port, "security": "none"}


def test_the_answer_is_submitted_with_starttls_and_login(desk: Desk) -> None:
    desk.receive(letter())

    received = desk.answer_to("anna@customer.example").mail["Received"]
    assert "with ESMTPSA" in received, "S is STARTTLS, A is AUTH (RFC 3848)"
    log = desk.dovecot.log().splitlines()
    logins = [line for line in log if f"submission-login: Info: Login: user=<{desk.user}>" in line]
    assert ["TLS" in line for line in logins] == [True]


def test_an_answer_is_sent_with_the_null_return_path(desk: Desk) -> None:
    desk.receive(letter())

    assert desk.answer_to("anna@customer.example").sender == ""


def test_no_mail_and_no_password_goes_to_a_server_that_cannot_prove_who_it_is(desk: Desk) -> None:
    stranger = str(desk.dovecot.stranger_ca)
    desk.mailbox(outbound=desk.dovecot.outbound(desk.user, ca=stranger))
    desk.deliver(letter())

    report = desk.poll()

    assert not report.ok
    assert "Mailbox support" in report.errors[0]
    assert "certificate" in report.errors[0]
    assert "1 mail(s) wait in the outbox" in report.errors[0]
    assert desk.sink.taken == []


def test_what_could_not_be_sent_goes_out_once_the_server_is_there(desk: Desk) -> None:
    with Sink() as sink:
        nobody = plain_smtp(sink)
    desk.mailbox(outbound=nobody)
    desk.deliver(letter())
    assert not desk.poll().ok
    assert list(desk.k.outbox.frame()["state"]) == ["queued"]
    desk.close()

    desk.mailbox()
    report = desk.healthy_poll()

    assert report.counts["sent"] == 1
    assert desk.answer_to("anna@customer.example")
    assert list(desk.k.messages.frame(direction="out")["state"]) == ["sent"]


@pytest.mark.parametrize(
    ("answer", "state", "kind"),
    [("550 5.1.1 no such user", "failed", "mail_failed"), ("451 4.7.1 later", "queued", None)],
)
def test_a_refused_recipient_is_told_in_outbox_and_activity(
    desk: Desk, answer: str, state: str, kind: str | None
) -> None:
    with PickySink(anna=answer) as sink:
        desk.mailbox(outbound=plain_smtp(sink))
        desk.deliver(letter())
        desk.poll()

    (row,) = desk.k.outbox.frame().to_dict("records")
    assert row["state"] == state
    assert answer.partition(" ")[2] in row["error"]
    sending = [entry for entry, _ in desk.stream() if entry.startswith("mail")]
    assert sending == ([kind] if kind else [])


def test_each_recipient_has_a_fate_of_its_own(desk: Desk) -> None:
    rule = desk.folder.root / "rules/inbound/support/create-incident.yaml"
    text = rule.read_text("utf-8")
    both = "[{field: caller}, {list: gone@customer.example}]"
    rule.write_text(text.replace("to: {field: caller}", f"to: {both}"), "utf-8")
    with PickySink(gone="550 5.1.1 no such user") as sink:
        desk.mailbox(outbound=plain_smtp(sink))
        desk.deliver(letter())
        desk.poll()
        assert [taken.recipients for taken in sink.taken] == [("anna@customer.example",)]

    (row,) = desk.k.outbox.frame().to_dict("records")
    assert row["state"] == "sent"
    assert {who: told["status"] for who, told in row["results"].items()} == {
        "anna@customer.example": "accepted",
        "gone@customer.example": "permanent",
    }
    assert desk.stream()[-1][0] == "mail_sent"
    assert "gone@customer.example: 550" in desk.stream()[-1][1]
