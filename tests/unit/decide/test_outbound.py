"""Outgoing rules on changes of records: what triggers them, and whom they name (S5, S6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kolibri_sdk.decide import decide_events, triggered, triggers_of
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.entity import Closed, Entity, RecordKey
from kolibri_sdk.model.rule import OutboundRule, RuleState
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.sandbox import Sandbox

INCIDENT = Entity(
    name="incident", table="incident", closed=Closed(field="status", values=("closed", "4"))
)
ENTITIES = {"incident": INCIDENT, "lead": Entity(name="lead", table="lead")}
OPEN, DONE = {"status": "open", "group": "a"}, {"status": "closed", "group": "a"}


def event(
    before: dict[str, Any] | None, after: dict[str, Any] | None, entity: str = "incident"
) -> RecordEvent:
    kind = "update" if before and after else "insert" if after else "delete"
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    return RecordEvent(1, RecordKey(entity=entity, key="7"), kind, before, after, moment)


def rule(name: str = "told", on: Any = "update", **values: Any) -> OutboundRule:
    given = {
        "entity": "incident",
        "on": on,
        "to": {"list": "a@b"},
        "template": "t",
        "mailbox": "support",
    }
    return OutboundRule(name, **{**given, **values})


@pytest.mark.parametrize(
    ("before", "after", "happened"),
    [
        (None, OPEN, {"insert"}),
        (None, DONE, {"insert"}),
        (OPEN, None, {"delete"}),
        (OPEN, {**OPEN, "group": "b"}, {"update"}),
        (OPEN, DONE, {"update", "close"}),
        (DONE, OPEN, {"update", "reopen"}),
        (OPEN, {"status": 4}, {"update", "close"}),
        (DONE, {"status": 4}, {"update"}),
        (DONE, {"status": None}, {"update", "reopen"}),
    ],
)
def test_what_happened(before: Any, after: Any, happened: set[str]) -> None:
    assert triggers_of(event(before, after), INCIDENT) == happened


def test_an_entity_that_never_closes() -> None:
    assert triggers_of(event(OPEN, DONE), ENTITIES["lead"]) == {"update"}


@pytest.mark.parametrize(
    ("on", "before", "after", "asked"),
    [
        ("insert", None, OPEN, True),
        ("insert", OPEN, DONE, False),
        (["insert", "close"], OPEN, DONE, True),
        ({"change": "group"}, OPEN, {**OPEN, "group": "b"}, True),
        ({"change": "group"}, OPEN, DONE, False),
        ({"change": "group"}, None, OPEN, False),
        ({"change": "group"}, OPEN, None, False),
        ({"change": "group"}, OPEN, {"status": "open"}, True),
        (["close", {"change": "group"}], OPEN, DONE, True),
        ("delete", OPEN, None, True),
    ],
)
def test_which_change_asks_a_rule(on: Any, before: Any, after: Any, asked: bool) -> None:
    assert triggered(rule(on=on), event(before, after), INCIDENT) is asked


def test_only_rules_of_the_change_say_anything(sandbox: Sandbox) -> None:
    rules = [
        rule("closed", "close"),
        rule("made", "insert"),
        rule("lead", entity="lead"),
        rule("draft", state=RuleState.DRAFT),
        rule("when", when="changed.includes('status') && old.status === 'open' && user === null"),
        rule("not", when="record.status === 'open'"),
        rule("shadow", state=RuleState.SHADOW),
    ]
    changed, made = decide_events(rules, [event(OPEN, DONE), event(None, OPEN)], sandbox, ENTITIES)
    assert [(d.rule, d.verdict) for d in changed] == [
        ("closed", Verdict.MATCH),
        ("when", Verdict.MATCH),
        ("not", Verdict.NO),
        ("shadow", Verdict.MATCH),
    ]
    assert [d.acts for d in changed] == [True, True, False, False]
    assert [(d.rule, d.verdict) for d in made] == [("made", Verdict.MATCH)]


def test_a_deleted_record_is_seen_as_it_was(sandbox: Sandbox) -> None:
    gone = rule("gone", "delete", when="record.status === 'open' && old.status === 'open'")
    ((decided,),) = decide_events([gone], [event(OPEN, None)], sandbox, ENTITIES)
    assert decided.verdict is Verdict.MATCH


def test_recipients_in_javascript_are_computed_for_matches(sandbox: Sandbox) -> None:
    to = [{"js": "record.watchers.map(w => w.email)"}, {"list": "a@b"}, {"js": "record.group"}]
    after = {"group": "b", "watchers": [{"email": "c@d"}, {"email": "e@f"}]}
    no = rule("no", when="false", to={"js": "record.nothing.more"})
    ((no_said, said),) = decide_events([no, rule(to=to)], [event(OPEN, after)], sandbox, ENTITIES)
    assert said.values == {"to.0": ["c@d", "e@f"], "to.2": "b"}
    assert no_said.verdict is Verdict.NO


def test_recipients_that_fail_undo_the_match(sandbox: Sandbox) -> None:
    odd = rule("odd", to={"js": "record.nothing.more"})
    ((said,),) = decide_events([odd], [event(OPEN, DONE)], sandbox, ENTITIES)
    assert said.verdict is Verdict.ERROR
    assert said.reason.startswith("to.0: ")


def test_two_entities_may_have_rules_of_one_name(sandbox: Sandbox) -> None:
    incident = rule("closed", when="record.status === 'closed'", to={"js": "'one@b'"})
    lead = rule("closed", entity="lead", when="record.won", to={"js": "'two@b'"})
    events = [event(OPEN, DONE), event({"won": False}, {"won": True}, "lead")]
    decided = decide_events([incident, lead], events, sandbox, ENTITIES)
    assert [[d.verdict for d in said] for said in decided] == [[Verdict.MATCH]] * 2
    assert [said[0].values for said in decided] == [{"to.0": "one@b"}, {"to.0": "two@b"}]


def test_an_entity_that_no_file_describes(sandbox: Sandbox) -> None:
    assert decide_events([rule()], [event(OPEN, DONE, "gone")], sandbox, ENTITIES) == [()]
    assert decide_events([rule()], [event(OPEN, DONE)], sandbox, {}) == [()]
    assert decide_events([], [event(OPEN, DONE)], sandbox, ENTITIES) == [()]
