"""Incoming rules on mails: all of them, in order, and what ends the list (S24)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from kolibri_sdk.decide import Subject, decide_messages
from kolibri_sdk.model import binding
from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.message import Address, Direction, MessageState
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.sandbox import Sandbox

FIELDS = {"title": FieldType.TEXT, "priority": FieldType.INTEGER, "status": FieldType.TEXT}
ENTITIES = {"incident": Entity(name="incident", table="incident", fields=FIELDS)}
CREATE = {"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}


def rule(name: str = "vpn", when: str = "true", **values: Any) -> InboundRule:
    return InboundRule(name, mailbox="support", when=when, **values)


def mail(subject: str = "VPN down", **values: Any) -> StoredMessage:
    return StoredMessage(
        id=values.pop("id", 1),
        direction=Direction.IN,
        mailbox="support",
        state=MessageState.PARSED,
        received_at=datetime(2026, 5, 1, 8, 0, tzinfo=UTC),
        size=10,
        blob=None,
        subject=subject,
        sender=Address("anna@example.org", "Anna"),
        **values,
    )


def decide(sandbox: Sandbox, rules: list[InboundRule], *subjects: Subject) -> list[Said]:
    return decide_messages(rules, subjects or (Subject(mail()),), sandbox, ENTITIES)


def verdicts(decided: Sequence[Decision]) -> list[str]:
    return [decision.verdict.value for decision in decided]


def test_every_rule_is_asked_about_every_mail(sandbox: Sandbox) -> None:
    rules = [rule("vpn", "/vpn/i.test(message.subject)"), rule("any", "message.size > 5")]
    first, second = decide(sandbox, rules, Subject(mail()), Subject(mail("Printer", id=2)))
    assert verdicts(first) == ["match", "match"]
    assert verdicts(second) == ["no", "match"]
    assert [d.rule for d in first] == ["vpn", "any"]
    assert [d.digest for d in first] == [r.digest for r in rules]


def test_nothing_to_decide(sandbox: Sandbox) -> None:
    assert decide_messages([], [Subject(mail())], sandbox, ENTITIES) == [()]
    assert decide_messages([rule()], [], sandbox, ENTITIES) == []


def test_a_draft_is_not_asked_and_a_shadow_does_nothing(sandbox: Sandbox) -> None:
    rules = [rule("draft", state=RuleState.DRAFT), rule("shadow", state=RuleState.SHADOW)]
    ((shadow,),) = decide(sandbox, rules)
    assert (shadow.rule, shadow.verdict, shadow.shadow) == ("shadow", Verdict.MATCH, True)
    assert not shadow.acts


@pytest.mark.parametrize(
    ("when", "verdict", "reason"),
    [
        ("message.subjekt.length > 1", "error", "undefined"),
        ("message.subject", "error", "true"),
        ("undefined", "error", "true"),
        ("1", "error", "true"),
        ("(() => { throw new Error('no!') })()", "error", "no!"),
        ("(() => { while (true) {} })()", "timeout", ""),
        ("message.subject ===", "error", ""),
    ],
)
def test_an_error_is_no_match_and_says_why(
    sandbox: Sandbox, when: str, verdict: str, reason: str
) -> None:
    (decided,) = decide(sandbox, [rule("odd", when), rule("next")])
    assert verdicts(decided) == [verdict, "match"]
    assert not decided[0].acts
    assert decided[0].reason
    assert reason in decided[0].reason


def test_stop_ends_the_list_where_it_matches(sandbox: Sandbox) -> None:
    rules = [rule("spam", "/vpn/i.test(message.subject)", stop=True), rule("next")]
    first, second = decide(sandbox, rules, Subject(mail()), Subject(mail("Printer", id=2)))
    assert verdicts(first) == ["match", "skipped"]
    assert first[1].reason == "stopped by spam"
    assert verdicts(second) == ["no", "match"]


def test_a_guarding_rule_that_fails_ends_the_list(sandbox: Sandbox) -> None:
    guard = rule("guard", "message.nothing.more", on_error="stop")
    (decided,) = decide(sandbox, [guard, rule("next")])
    assert verdicts(decided) == ["error", "skipped"]


@pytest.mark.parametrize(
    "changes", [{"stop": True}, {"when": "message.nothing.more", "on_error": "stop"}]
)
def test_a_rule_in_the_shadow_ends_nothing(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    shadow = rule("shadow", **{"when": "true", **changes}, state=RuleState.SHADOW)
    (decided,) = decide(sandbox, [shadow, rule("next")])
    assert decided[1].verdict is Verdict.MATCH


def test_conditions_see_the_record_of_the_reference(sandbox: Sandbox) -> None:
    hit = ReferenceHit(RecordKey(entity="incident", key="7"), Grade.SIGNED, "subject")
    when = "message.reference.key === '7' && message.is_reply && record.status === 'closed'"
    ((decided,),) = decide(sandbox, [rule(when=when)], Subject(mail(), hit, {"status": "closed"}))
    assert decided.verdict is Verdict.MATCH
    ((other,),) = decide(sandbox, [rule(when="record === null && message.reference === null")])
    assert other.verdict is Verdict.MATCH


def test_no_condition_changes_what_the_next_one_sees(sandbox: Sandbox) -> None:
    """The mail as it came in, whatever a rule tries."""
    meddler = rule("meddler", "(() => { message.subject = 'x'; return true })()")
    (decided,) = decide(sandbox, [meddler, rule("next", "message.subject === 'VPN down'")])
    assert decided[1].verdict is Verdict.MATCH


def test_a_match_has_the_values_of_its_actions(sandbox: Sandbox) -> None:
    then = [
        {
            "create_record": {
                "entity": "incident",
                "set": {"title": "message.subject", "priority": "1 + 1"},
            }
        },
        {"add_note": {"text": "'From ' + message.from.address"}},
        {"send_mail": {"template": "t", "to": [{"list": "a@b"}, {"js": "['c@d']"}]}},
        {"call": {"name": "count", "with": {"words": "message.subject.split(' ')"}}},
    ]
    ((decided,),) = decide(sandbox, [rule(then=then)])
    assert decided.values == {
        "0.set.title": "VPN down",
        "0.set.priority": 2,
        "1.text": "From anna@example.org",
        "2.to.1": ["c@d"],
        "3.with.words": ["VPN", "down"],
    }


def test_no_values_are_computed_where_nothing_matches(sandbox: Sandbox) -> None:
    fails = [{"add_note": {"text": "message.nothing.more"}}]
    (decided,) = decide(sandbox, [rule("no", "false", then=fails), rule("next", then=[CREATE])])
    assert verdicts(decided) == ["no", "match"]
    assert decided[0].values == {}


def test_later_actions_see_the_record_that_earlier_ones_plan(sandbox: Sandbox) -> None:
    then = [
        CREATE,
        {"update_record": {"set": {"priority": "record.title.length"}}},
        {"add_note": {"text": "`${record.title}: ${record.priority}, ${record.status}`"}},
    ]
    other = rule("other", then=[{"add_note": {"text": "String(record)"}}])
    ((decided, beside),) = decide(sandbox, [rule(then=then), other])
    assert decided.values["1.set.priority"] == 8
    assert decided.values["2.text"] == "VPN down: 8, null"
    assert beside.values["0.text"] == "null"  # another rule sees the mail as it came in


def test_an_action_value_that_fails_undoes_the_match(sandbox: Sandbox) -> None:
    then = [CREATE, {"add_note": {"text": "message.nothing.more"}}, CREATE]
    (decided,) = decide(sandbox, [rule("odd", then=then), rule("next", then=[CREATE])])
    assert verdicts(decided) == ["error", "match"]
    assert decided[0].reason.startswith("1.text: ")
    assert decided[0].values == {}
    assert not decided[0].acts


def test_one_guilty_mail_leaves_the_others_alone(sandbox: Sandbox) -> None:
    endless = "message.subject !== 'evil' || (() => { while (true) {} })()"
    subjects = [Subject(mail(s, id=n)) for n, s in enumerate(["a", "evil", "b"])]
    decided = decide(sandbox, [rule("odd", endless), rule("next")], *subjects)
    assert [verdicts(one) for one in decided] == [
        ["match", "match"],
        ["timeout", "match"],
        ["match", "match"],
    ]


@pytest.mark.parametrize("subject", ["\x00", "\u2028", "${1}`", "</script>", "💥" * 999])
def test_any_text_crosses_unharmed(sandbox: Sandbox, subject: str) -> None:
    ((decided,),) = decide(sandbox, [rule(then=[CREATE])], Subject(mail(subject)))
    assert decided.verdict is Verdict.MATCH
    assert len(decided.values["0.set.title"]) == len(subject)


def test_half_a_character_is_refused(sandbox: Sandbox) -> None:
    half = [{"add_note": {"text": "'\\ud83d'"}}]
    ((decided,),) = decide(sandbox, [rule(then=half)])
    assert decided.verdict is Verdict.ERROR
    assert "surrogate" in decided.reason


def test_mails_of_which_all_rules_say_the_same_share_what_was_said(sandbox: Sandbox) -> None:
    rules = [rule("vpn", "/vpn/i.test(message.subject)"), rule("any", "message.size > 5")]
    subjects = [Subject(mail(subject)) for subject in ("Printer", "VPN", "Screen")]
    printer, vpn, screen = decide(sandbox, rules, *subjects)
    assert printer is screen
    assert printer != vpn


def test_a_field_that_is_read_in_a_roundabout_way_is_there_all_the_same(sandbox: Sandbox) -> None:
    conditions = [
        "message['html'] === '<p>'",
        "[message].some(m => m.html === '<p>')",
        r"m\u0065ssage.html === '<p>'",
        "arguments[0].html === '<p>'",
        "message\n  ?.html === '<p>'",
        "message/* the body */.html === '<p>'",
        f"Object.keys(message).length === {len(binding.FIELDS)}",
        "(({html}) => html === '<p>')(message)",
    ]
    for condition in conditions:
        ((said,),) = decide(sandbox, [rule(when=condition)], Subject(mail(html="<p>")))
        assert said.verdict is Verdict.MATCH, condition


def test_a_value_of_an_action_may_read_what_no_condition_reads(sandbox: Sandbox) -> None:
    noted = rule(when="message.size > 5", then=[{"add_note": {"text": "message.headers.to[0]"}}])
    ((said,),) = decide(sandbox, [noted], Subject(mail(headers=(("To", "us"),))))
    assert said.values == {"0.text": "us"}
