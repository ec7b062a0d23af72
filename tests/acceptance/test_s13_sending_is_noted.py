"""S13: the sending of a mail is noted in the record's activity stream."""

from __future__ import annotations

from tests.acceptance.conftest import Desk
from tests.acceptance.test_s02_smtp import PickySink, plain_smtp
from tests.project import letter


def test_the_stream_says_to_whom_it_was_sent_and_shows_the_mail(desk: Desk) -> None:
    desk.receive(letter())

    entry = desk.k.records["incident", 1].activity.frame().iloc[-1]
    assert (entry["kind"], entry["text"]) == ("mail_sent", "To anna@customer.example")
    assert (entry["author"], entry["cause"].split("/")[1]) == ("support", "rule:create-incident")
    sent = desk.k.messages[entry["message"]]
    assert sent.subject.endswith("We have your request: VPN drops every ten minutes")
    assert str(sent.record) == "incident 1"


def test_it_is_noted_when_the_server_took_it_and_not_before(desk: Desk) -> None:
    desk.mailbox(outbound=desk.dovecot.outbound(desk.user, ca=str(desk.dovecot.stranger_ca)))
    desk.deliver(letter())

    desk.poll()

    assert [kind for kind, _ in desk.stream()] == ["created"]


def test_a_mail_to_several_groups_of_recipients_is_noted_once_per_mail(desk: Desk) -> None:
    desk.k.users.add("dora", "duty@kolibri.example", language="de")
    desk.k.records["incident"].insert(title="Fire", group="Network", priority=1)

    desk.healthy_poll()

    sent = sorted(text for kind, text in desk.stream() if kind == "mail_sent")
    assert sent == ["To duty@kolibri.example", "To noc@kolibri.example"]


def test_a_record_without_activity_stream_notes_nothing(desk: Desk) -> None:
    entity = desk.folder.root / "rules/entities/incident.yaml"
    text = entity.read_text("utf-8")
    entity.write_text(text.replace("activity_stream: true", "activity_stream: false"), "utf-8")

    desk.receive(letter())

    assert desk.answer_to("anna@customer.example")
    assert desk.stream() == []


def test_mail_by_hand_is_noted_when_it_is_queued_and_when_it_is_sent(either_desk: Desk) -> None:
    either_desk.k.records["incident"].insert(title="Fire").mail(
        to="anna@customer.example", cc="tom@customer.example", subject="Out?", text="Is it out?"
    )
    ((kind, text),) = either_desk.stream()
    assert kind == "mail_queued"
    assert text.startswith("To anna@customer.example; cc tom@customer.example: [INC-000001 ")
    assert text.endswith("] Out?")

    either_desk.healthy_poll()

    frame = either_desk.k.records["incident", 1].activity.frame()
    assert list(frame["kind"]) == ["mail_queued", "mail_sent"]
    assert frame["message"].nunique() == frame["author"].nunique() == frame["cause"].nunique() == 1


def test_mail_by_hand_that_is_refused_is_noted_with_the_reason(bare_desk: Desk) -> None:
    bare_desk.folder.use_shipped_rules("entities")
    with PickySink(gone="550 5.1.1 no such user") as sink:
        bare_desk.mailbox(outbound=plain_smtp(sink))
        record = bare_desk.k.records["incident"].insert(title="Fire")
        sent = record.mail(to="gone@customer.example", text="Is it out?")
        bare_desk.poll()
    assert (sent.state, sent.results["gone@customer.example"]["code"]) == ("failed", 550)
    assert [kind for kind, _ in bare_desk.stream()] == ["mail_queued", "mail_failed"]
    assert "550 5.1.1 no such user" in bare_desk.stream()[-1][1]
