"""S24: on arrival, second: all incoming rules of the mailbox are checked on the mail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to

ANNAS = "anna@customer.example"


def add_rule(desk: Desk, name: str, order: int, when: str = "true", **more: Any) -> None:
    """A rule that writes its name into the stream of the record at hand."""
    note = [{"add_note": {"text": f'"{name}"'}}]
    values = {"order": order, "when": when, "then": note, **more}
    desk.folder.document(f"rules/inbound/support/{name}.yaml", values)


@pytest.fixture
def answered(desk: Desk) -> Desk:
    """A desk with one incident, Anna's, which was answered; its rules can be written anew."""
    desk.receive(letter("VPN is down"))
    desk.close()
    return desk


def reply(desk: Desk, text: str = "It is back.") -> bytes:
    return reply_to(desk.answer_to(ANNAS).raw, text)


def notes(desk: Desk) -> list[str]:
    return [text for kind, text in desk.stream() if kind == "note"]


def verdicts(desk: Desk) -> dict[str, str]:
    """What every rule said of the mail that came in last, in the order in which they were asked."""
    number = int(desk.k.messages.frame(direction="in")["id"].max())
    frame = desk.k.messages[number].decisions()
    return dict(zip(frame["rule"], frame["verdict"], strict=True))


def test_all_rules_are_checked_after_a_reference_was_found(answered: Desk) -> None:
    answered.receive(reply(answered, "This is urgent!"))

    assert verdicts(answered) == {
        "create-incident": "no",
        "urgent": "match",
        "reopen-on-reply": "no",
    }
    assert answered.k.records["incident", 1]["priority"] == 1


def test_rules_of_other_mailboxes_are_not_asked(answered: Desk) -> None:
    sales = {"order": 1, "when": "true"}
    answered.mailbox("sales", answered.dovecot.new_user())
    answered.folder.document("rules/inbound/sales/anything.yaml", sales)

    answered.receive(letter("Printer"))

    assert "anything" not in verdicts(answered)


def test_rules_act_in_their_order_and_one_match_does_not_end_the_list(answered: Desk) -> None:
    for name, order in (("third", 30), ("first", 10), ("second", 20)):
        add_rule(answered, name, order)

    answered.receive(reply(answered))

    assert notes(answered) == ["first", "second", "third"]
    assert list(verdicts(answered))[:3] == ["first", "second", "third"]


def test_a_match_with_stop_ends_the_list(answered: Desk) -> None:
    add_rule(answered, "first", 10, stop=True)
    add_rule(answered, "second", 20)

    answered.receive(reply(answered))

    assert notes(answered) == ["first"]
    assert verdicts(answered)["second"] == "skipped"


def test_stop_without_a_match_ends_nothing(answered: Desk) -> None:
    add_rule(answered, "first", 10, when="false", stop=True)
    add_rule(answered, "second", 20)

    answered.receive(reply(answered))

    assert notes(answered) == ["second"]


def test_a_rule_in_the_shadow_decides_and_does_nothing(answered: Desk) -> None:
    add_rule(answered, "shadowed", 10, state="shadow", stop=True)
    add_rule(answered, "second", 20)

    answered.receive(reply(answered))

    assert notes(answered) == ["second"]
    frame = answered.k.decisions.frame(rule="shadowed")
    assert list(zip(frame["verdict"], frame["shadow"], strict=True)) == [("match", True)]


def test_a_draft_is_not_asked(answered: Desk) -> None:
    add_rule(answered, "draft", 10, state="draft")

    answered.receive(reply(answered))

    assert notes(answered) == []
    assert "draft" not in verdicts(answered)


FIELDS = {
    "subject": "message.subject === 'Drucker: Größe'",
    "sender": "message.from.address === 'anna@customer.example' && message.from.name !== ''",
    "recipients": "message.to.length === 1 && message.cc[0].address === 'tom@customer.example'",
    "text": "/Zeile zwei/.test(message.text)",
    "headers": "message.headers['x-urgency'][0] === 'high'",
    "attachments": "message.attachments.length === 0",
    "time": "new Date(message.received) > new Date('2020-01-01')",
    "kind": "message.kind === 'ordinary' && !message.automatic",
    "reference": "message.reference === null && record === null",
    "mailbox": "message.mailbox === 'support'",
}


def test_the_mail_is_at_the_conditions_disposal(bare_desk: Desk) -> None:
    for order, (name, when) in enumerate(FIELDS.items(), start=1):
        add_rule(bare_desk, name, order, when, then=[])
    mail = letter(
        "Drucker: Größe", "Zeile eins\nZeile zwei\n", cc="tom@customer.example", x_urgency="high"
    )

    bare_desk.receive(mail)

    assert verdicts(bare_desk) == dict.fromkeys(FIELDS, "match")


def test_conditions_see_the_record_that_the_reference_leads_to(answered: Desk) -> None:
    add_rule(answered, "of-a-record", 10, "record !== null && record.number === 'INC-000001'")

    answered.receive(reply(answered))

    assert notes(answered) == ["of-a-record"]


def test_conditions_see_mail_and_record_as_they_were_not_what_a_rule_changed(
    answered: Desk,
) -> None:
    raised = [{"update_record": {"set": {"priority": "1"}}}]
    add_rule(answered, "raise", 10, then=raised)
    add_rule(answered, "still-three", 20, "record.priority === 3")

    answered.receive(reply(answered))

    assert notes(answered) == ["still-three"]
    assert answered.k.records["incident", 1]["priority"] == 1


def test_two_rules_that_set_one_field_differently_are_a_conflict_that_is_told(
    answered: Desk,
) -> None:
    for order, priority in ((10, "1"), (20, "2")):
        then = [{"update_record": {"set": {"priority": priority}}}]
        add_rule(answered, f"to-{priority}", order, then=then)

    report = answered.receive(reply(answered))

    assert answered.k.records["incident", 1]["priority"] == 2, "the later one wins"
    assert any("conflict" in line and "priority" in line for line in report.refused)


FAULTS = {
    "throws": ("message.nothing.here", "error"),
    "gives-text": ("'yes'", "error"),
    "gives-a-promise": ("(async () => true)()", "error"),
    "never-ends": ("(() => { for (;;) ; })()", "timeout"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_condition_that_fails_is_no_match_and_the_other_rules_go_on(
    answered: Desk, fault: str
) -> None:
    when, verdict = FAULTS[fault]
    add_rule(answered, fault, 10, when)
    add_rule(answered, "second", 20)
    answered.deliver(reply(answered))

    report = answered.poll()

    assert notes(answered) == ["second"]
    assert verdicts(answered)[fault] == verdict
    assert any(f"rules/inbound/support/{fault}.yaml" in error for error in report.errors)
    assert answered.k.messages.frame(direction="in")["error"].iloc[-1], "and on the mail itself"


def test_a_guarding_rule_that_fails_ends_the_list(answered: Desk) -> None:
    add_rule(answered, "guard", 10, "message.nothing.here", on_error="stop")
    add_rule(answered, "second", 20)
    answered.deliver(reply(answered))

    assert not answered.poll().ok

    assert notes(answered) == []
    assert verdicts(answered)["second"] == "skipped"


AUTOMATIC = {
    "auto-submitted": {"auto_submitted": "auto-replied"},
    "mailing list": {"list_id": "<news.example>", "precedence": "bulk"},
    "auto-responder": {"precedence": "auto_reply"},
    "exchange": {"x_autoreply": "yes"},
}


@pytest.mark.parametrize("kind", AUTOMATIC)
def test_automatic_mail_gets_no_answer_whatever_a_rule_says(bare_desk: Desk, kind: str) -> None:
    bare_desk.folder.template("thanks", en_subject="Thank you", en_txt="We have it.\n")
    send = {"template": "thanks", "to": [{"js": "message.from.address"}]}
    add_rule(bare_desk, "answer-everything", 10, then=[{"send_mail": send}])

    report = bare_desk.receive(letter(**AUTOMATIC[kind]), letter(sender="tom@customer.example"))

    assert bare_desk.told() == ["tom@customer.example"]
    assert any(f"no mail to {ANNAS}" in line for line in report.refused), report.refused


def test_a_bounce_of_our_own_answer_gets_none(desk: Desk) -> None:
    desk.receive(letter("VPN is down"))
    bounce = (
        b"From: MAILER-DAEMON@customer.example\r\nTo: support@kolibri.example\r\n"
        b"Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        b"Return-Path: <>\r\nContent-Type: multipart/report; report-type=delivery-status;"
        b' boundary="b"\r\n\r\n--b\r\n\r\nUser unknown.\r\n--b\r\n'
        b"Content-Type: message/delivery-status\r\n\r\n"
        b"Reporting-MTA: dns; mx.customer.example\r\n\r\n"
        b"Final-Recipient: rfc822; anna@customer.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    returned = desk.answer_to(ANNAS).raw

    report = desk.receive(bounce + returned + b"\r\n--b--\r\n")

    assert (report.counts["records"], report.counts["queued"]) == (0, 0)
    assert list(desk.k.messages.frame(direction="in")["kind"]) == ["ordinary", "bounce"]


def test_a_rule_acts_on_a_mail_once_ever(answered: Desk) -> None:
    add_rule(answered, "first", 10)
    answered.receive(reply(answered))
    answered.healthy_poll()
    answered.close()

    add_rule(answered, "first", 10, when="1 === 1")
    add_rule(answered, "new-rule", 20)
    report = answered.healthy_poll()

    assert report.counts["decisions"] == 0
    assert notes(answered) == ["first"]


def test_a_decision_names_the_version_of_the_rule_that_made_it(answered: Desk) -> None:
    add_rule(answered, "first", 10)
    answered.receive(reply(answered))
    answered.close()
    add_rule(answered, "first", 10, when="1 === 1")

    answered.receive(reply(answered))

    frame = answered.k.decisions.frame(rule="first")
    assert len(frame) == frame["digest"].nunique() == 2
