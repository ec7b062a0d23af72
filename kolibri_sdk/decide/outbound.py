"""Outgoing rules × changes of records → decisions with their recipients (S5, S6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kolibri_sdk.decide.verdicts import judged, with_values
from kolibri_sdk.model.change import change_binding
from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.rule import Change, OutboundRule, RuleState
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import faulty_recipient
from kolibri_sdk.sandbox import Sandbox, Script

__all__ = [
    "decide_again",
    "decide_events",
    "event_variables",
    "outdated",
    "triggered",
    "triggers_of",
]


def triggers_of(event: RecordEvent, entity: Entity) -> set[str]:
    """What happened, in the words of ``on``: insert, update, close, reopen, delete.

    Examples
    --------
    >>> from kolibri_sdk import clock
    >>> from kolibri_sdk.model.entity import Closed, RecordKey
    >>> incident = Entity(
    ...     name="incident", table="incident", closed=Closed(field="status", values=("done",))
    ... )
    >>> change = RecordEvent(
    ...     1, RecordKey(entity="incident", key="7"), "update",
    ...     {"status": "open"}, {"status": "done"}, clock.now(),
    ... )
    >>> sorted(triggers_of(change, incident))
    ['close', 'update']
    """
    return entity.happened(event.kind, event.before, event.after)


def triggered(rule: OutboundRule, event: RecordEvent, entity: Entity) -> bool:
    """Whether the change is one that the rule is about, before its condition is looked at."""
    return _is_about(rule, triggers_of(event, entity), _fields(event))


def _fields(event: RecordEvent) -> tuple[str, ...]:
    return event.changed if event.kind == "update" else ()


def _is_about(rule: OutboundRule, happened: Collection[str], changed: Collection[str]) -> bool:
    return any(on.change in changed if isinstance(on, Change) else on in happened for on in rule.on)


def decide_events(
    rules: Sequence[OutboundRule],
    events: Sequence[RecordEvent],
    sandbox: Sandbox,
    entities: Mapping[str, Entity],
    people: Mapping[str, User] | None = None,
) -> list[Said]:
    """Decide the rules on each change; only rules that its kind triggers say anything.

    Conditions see ``record``, ``old``, ``changed`` and ``user``, as
    ``kolibri_sdk.model.change.CHANGE_FIELDS`` tells. All changes cross into the sandbox together.

    Parameters
    ----------
    people : mapping of str to User, optional
        Whom the names of those stand for that made a change by hand.
    """
    live = [rule for rule in rules if rule.state is not RuleState.DRAFT]
    of_entity: dict[str, list[OutboundRule]] = {}
    for rule in live:
        if rule.entity in entities:
            of_entity.setdefault(rule.entity, []).append(rule)
    asked = []
    for event in events:
        some = of_entity.get(event.record.entity, ())
        happened = triggers_of(event, entities[event.record.entity]) if some else ()
        changed = _fields(event)
        asked.append([rule for rule in some if _is_about(rule, happened, changed)])
    variables = [event_variables(event, people) for event in events]
    return _decide(asked, variables, sandbox)


def decide_again(
    rules: Sequence[OutboundRule],
    events: Sequence[RecordEvent],
    records: Sequence[Mapping[str, Any] | None],
    sandbox: Sandbox,
    people: Mapping[str, User] | None = None,
) -> list[Decision]:
    """Decide a rule on a change once more, with the record as it is by now.

    Each rule is asked about the change at its place; what triggers it is not looked at again.
    ``old``, ``changed`` and ``user`` are those of the change.
    """
    asked = [[rule] for rule in rules]
    variables = [
        {**event_variables(event, people), "record": record}
        for event, record in zip(events, records, strict=True)
    ]
    return [decision for (decision,) in _decide(asked, variables, sandbox)]


def outdated(event: RecordEvent, now: Mapping[str, Any] | None, entity: Entity | None) -> str:
    """Why a mail that was delayed is not sent, whatever its condition says; else empty.

    A record that is gone, or was closed after the change, is nobody's concern any more; unless
    the change itself was the delete, or left it closed.

    Parameters
    ----------
    now : mapping or None
        The record as it is by now.
    """
    if entity is None:
        return "its entity is gone"
    if now is None:
        return "" if event.kind == "delete" else "its record is gone"
    left = dict(event.after or {})
    if entity.is_closed(dict(now)) and not entity.is_closed(left):
        return "its record was closed meanwhile"
    return ""


def event_variables(event: RecordEvent, people: Mapping[str, User] | None = None) -> dict[str, Any]:
    """What the conditions of outgoing rules see of a change."""
    return change_binding(event, people or {})


def _decide(
    asked: Sequence[Sequence[OutboundRule]],
    variables: Sequence[Mapping[str, Any]],
    sandbox: Sandbox,
) -> list[Said]:
    unique = {id(rule): rule for rules in asked for rule in rules}
    scripts = {number: _condition(rule) for number, rule in unique.items()}
    every = {script.id: script for script in scripts.values()}
    names = [[scripts[id(rule)].id for rule in rules] for rules in asked]
    outcomes = sandbox.evaluate(list(every.values()), variables, wanted=names)
    # A rule's plain answers are one object each for a whole batch, and so are their decisions.
    made: dict[tuple[int, int], Decision] = {}
    decided = []
    for rules, ids, said in zip(asked, names, outcomes, strict=True):
        decisions = []
        for rule, name in zip(rules, ids, strict=True):
            outcome = said[name]
            key = id(rule), id(outcome)
            if key not in made:
                made[key] = judged(rule, outcome)
            decisions.append(made[key])
        decided.append(decisions)
    _compute_recipients(asked, decided, variables, sandbox)
    # Where all decisions are the same objects, it is the same object, worked out once.
    same: dict[tuple[int, ...], Said] = {}
    return [same.setdefault(tuple(map(id, some)), Said(some)) for some in decided]


def _prefix(rule: OutboundRule) -> str:
    # Rules of two entities may have one name.
    return f"{rule.entity}/{rule.name}/"


def _condition(rule: OutboundRule) -> Script:
    return Script(id=f"{_prefix(rule)}when", source=rule.when, expects="boolean")


def _recipients(rule: OutboundRule) -> dict[str, Script]:
    return {
        path: Script(id=f"{_prefix(rule)}{path}", source=source, expects="recipients")
        for path, source in rule.scripts().items()
    }


def _compute_recipients(
    asked: Sequence[Sequence[OutboundRule]],
    decided: Sequence[list[Decision]],
    variables: Sequence[Mapping[str, Any]],
    sandbox: Sandbox,
) -> None:
    """What the recipients of each match come to; what can be none undoes the match."""
    matches = [
        (index, position, rules[position])
        for index, (rules, decisions) in enumerate(zip(asked, decided, strict=True))
        for position, decision in enumerate(decisions)
        if decision.verdict is Verdict.MATCH
    ]
    scripts = {id(rule): _recipients(rule) for _, _, rule in matches}
    computing = [match for match in matches if scripts[id(match[2])]]
    wanted: dict[int, set[str]] = {}
    for index, _, rule in computing:
        wanted.setdefault(index, set()).update(one.id for one in scripts[id(rule)].values())
    outcomes = dict(
        zip(
            wanted,
            sandbox.evaluate(
                list({one.id: one for some in scripts.values() for one in some.values()}.values()),
                [variables[index] for index in wanted],
                wanted=list(wanted.values()),
            ),
            strict=True,
        )
    )
    for index, position, rule in matches:
        decision = decided[index][position]
        if own := scripts[id(rule)]:
            values = {path: outcomes[index][script.id] for path, script in own.items()}
            decision = with_values(decision, values)
        if decision.verdict is Verdict.MATCH:
            decision = _checked(rule, decision, variables[index]["record"])
        decided[index][position] = decision


def _checked(rule: OutboundRule, decision: Decision, record: Mapping[str, Any] | None) -> Decision:
    """The decision, an error where something in ``to`` cannot be a recipient."""
    fault = faulty_recipient(rule.to, record, decision.values)
    if fault is None:
        return decision
    place, what = fault
    script = rule.to[place].js is not None
    return replace(
        decision,
        verdict=Verdict.ERROR,
        reason=what,
        line=1 if script else None,
        column=1 if script else None,
        script=f"to.{place}",
        values={},
    )
