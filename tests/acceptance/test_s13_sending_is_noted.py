"""S13: the sending of a mail is noted in the record's activity stream."""

from __future__ import annotations

from tests.acceptance.conftest import Desk
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
