"""S25: where a condition holds, any action can be triggered."""

from __future__ import annotations

import pytest

from kolibri_sdk import ActionScene, action
from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to

ANNAS = "anna@customer.example"


@action("acceptance-tag-and-count")
def tag_and_count(scene: ActionScene, tag: str, words: int) -> None:
    """Note how many words the mail has, and set the record's group."""
    scene.update_record({"group": tag})
    scene.add_note(f"{words} words from {scene.message.sender}")


@action("acceptance-fails")
def fails(scene: ActionScene) -> None:
    """Write something, then raise."""
    scene.add_note("about to fail")
    raise RuntimeError("the other system said no")


CREATE = """
  - create_record:
      entity: incident
      set: {title: message.subject, caller: message.from.address, priority: "3"}
"""


def write_rule(desk: Desk, then: str, *, when: str = "1 === 1", name: str = "act") -> None:
    lines = ["order: 900", f"when: {when}", f"then:{then.rstrip()}", ""]
    desk.folder.write(f"rules/inbound/support/{name}.yaml", "\n".join(lines))


@pytest.fixture
def desk_with_entities(bare_desk: Desk) -> Desk:
    """A desk with the shipped entities and templates, and no rule yet."""
    bare_desk.folder.use_shipped_rules("entities", "templates")
    return bare_desk


def test_create_record(desk_with_entities: Desk) -> None:
    write_rule(desk_with_entities, CREATE)

    desk_with_entities.receive(letter("VPN is down"))

    (incident,) = desk_with_entities.incidents()
    assert (incident["title"], incident["caller"], incident["priority"]) == (
        "VPN is down",
        ANNAS,
        3,
    )
    assert incident["number"] == "INC-000001"
    assert desk_with_entities.stream() == [("created", "Made from the mail: VPN is down")]
    assert str(desk_with_entities.k.messages[1].record) == "incident 1"


def test_update_record(desk: Desk) -> None:
    desk.receive(letter("VPN is down"))
    desk.k.records["incident", 1].update(status="closed")
    desk.receive(reply_to(desk.answer_to(ANNAS).raw, "It is back."))

    assert desk.k.records["incident", 1]["status"] == "open"
    assert ("changed", "status = open") in desk.stream()


def test_add_note(desk_with_entities: Desk) -> None:
    write_rule(
        desk_with_entities, CREATE + "  - add_note: {text: '`${message.from.address} wrote`'}"
    )

    desk_with_entities.receive(letter())

    assert desk_with_entities.stream()[-1] == ("note", f"{ANNAS} wrote")


def test_send_mail(desk_with_entities: Desk) -> None:
    send = (
        "  - send_mail: {template: incident-received, to: [{field: caller}, {list: a@b.example}]}"
    )
    write_rule(desk_with_entities, CREATE + send)

    desk_with_entities.receive(letter())

    assert desk_with_entities.told() == ["a@b.example", ANNAS]
    assert "INC-000001" in desk_with_entities.sink.taken[0].mail["Subject"]


def test_a_python_function(desk_with_entities: Desk) -> None:
    call = """\
  - call:
      name: acceptance-tag-and-count
      with: {tag: '"VIP"', words: 'message.text.trim().split(/\\s+/).length'}
"""
    write_rule(desk_with_entities, CREATE + call)

    desk_with_entities.receive(letter(text="one two three\n"))

    assert desk_with_entities.incidents()[0]["group"] == "VIP"
    assert desk_with_entities.stream()[-1] == ("note", f"3 words from Anna Weiss <{ANNAS}>")


def test_nothing_happens_where_the_condition_does_not_hold(desk_with_entities: Desk) -> None:
    write_rule(desk_with_entities, CREATE, when="/printer/i.test(message.subject)")

    desk_with_entities.receive(letter("VPN is down"))

    assert desk_with_entities.incidents() == []


def test_when_one_action_fails_none_of_the_mails_effects_is_there(desk: Desk) -> None:
    write_rule(desk, "\n  - call: {name: acceptance-fails}", name="failing")
    desk.deliver(letter("VPN is down"), letter("the next mail", sender="tom@customer.example"))

    report = desk.poll()

    assert desk.incidents() == []
    assert desk.sink.taken == []
    assert len(report.errors) == 2
    assert "Rule failing" in report.errors[0]
    assert "the other system said no" in report.errors[0]
    assert list(desk.k.messages.frame()["state"]) == ["failed", "failed"]


def test_a_mail_whose_action_failed_is_acted_on_once_the_reason_is_gone(desk: Desk) -> None:
    write_rule(desk, "\n  - call: {name: acceptance-fails}", name="failing")
    rule = desk.folder.root / "rules/inbound/support/failing.yaml"
    desk.deliver(letter("VPN is down"))
    assert not desk.poll().ok

    desk.close()
    rule.unlink()
    report = desk.healthy_poll()

    assert (report.counts["records"], report.counts["sent"]) == (1, 1)
    assert desk.healthy_poll().counts["records"] == 0


def test_a_mail_whose_action_fails_again_and_again_is_given_up_and_stays_visible(
    desk: Desk,
) -> None:
    write_rule(desk, "\n  - call: {name: acceptance-fails}", name="failing")
    desk.deliver(letter("VPN is down"))

    errors = [desk.poll().errors for _ in range(6)]

    assert [len(each) for each in errors] == [1, 1, 1, 1, 1, 0]
    assert "given up" in errors[4][0]
    (row,) = desk.k.messages.frame().to_dict("records")
    assert row["state"] == "failed"
    assert "the other system said no" in row["error"]


def test_a_function_that_nobody_registered_is_told_with_the_nearest_name(
    desk_with_entities: Desk,
) -> None:
    write_rule(desk_with_entities, "\n  - call: {name: acceptance-tag-and-cuont}")
    desk_with_entities.deliver(letter())

    (error,) = desk_with_entities.poll().errors

    assert "Rule act, then[0] (call)" in error
    assert "Did you mean 'acceptance-tag-and-count'?" in error


def test_an_action_writes_mail_to_one_address_only_so_often(desk: Desk) -> None:
    desk.mailbox(answers_per_hour=2)

    report = desk.receive(*(letter(f"mail {number}") for number in range(4)))

    assert len(desk.sink.to(ANNAS)) == 2
    assert (report.counts["records"], report.counts["held"]) == (4, 2)
    held = desk.k.outbox.frame(state="held")
    assert len(held) == 2
    assert "answers_per_hour" in held["error"].iloc[0]
