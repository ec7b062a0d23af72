"""Outgoing rules × changes of records → decisions with their recipients (S5, S6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kolibri_sdk.decide.verdicts import judged, with_values
from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.rule import Change, OutboundRule, RuleState
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.sandbox import Sandbox, Script

__all__ = ["decide_events", "event_variables", "triggered", "triggers_of"]


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
    happened = triggers_of(event, entity)
    changed = event.changed if event.kind == "update" else ()
    return any(on.change in changed if isinstance(on, Change) else on in happened for on in rule.on)


def decide_events(
    rules: Sequence[OutboundRule],
    events: Sequence[RecordEvent],
    sandbox: Sandbox,
    entities: Mapping[str, Entity],
) -> list[Said]:
    """Decide the rules on each change; only rules that its kind triggers say anything.

    Conditions see ``record`` (after the change; before it for a delete), ``old`` (before it, or
    null), ``changed`` (names of fields) and ``user`` (who changed it, or null).
    """
    live = [rule for rule in rules if rule.state is not RuleState.DRAFT]
    asked = [
        [
            rule
            for rule in live
            if rule.entity == event.record.entity
            and rule.entity in entities
            and triggered(rule, event, entities[rule.entity])
        ]
        for event in events
    ]
    variables = [event_variables(event) for event in events]
    outcomes = sandbox.evaluate(
        [_condition(rule) for rule in live],
        variables,
        wanted=[{_condition(rule).id for rule in some} for some in asked],
    )
    decided = [
        [judged(rule, said[_condition(rule).id]) for rule in some]
        for some, said in zip(asked, outcomes, strict=True)
    ]
    _compute_recipients(asked, decided, variables, sandbox)
    return list(map(Said, decided))


def event_variables(event: RecordEvent) -> dict[str, Any]:
    """What the conditions of outgoing rules see of a change."""
    return {
        "record": event.after if event.after is not None else event.before,
        "old": event.before,
        "changed": list(event.changed),
        "user": None,
    }


def _prefix(rule: OutboundRule) -> str:
    # Rules of two entities may have one name.
    return f"{rule.entity}/{rule.name}/"


def _condition(rule: OutboundRule) -> Script:
    return Script(id=f"{_prefix(rule)}when", source=rule.when, expects="boolean")


def _recipients(rule: OutboundRule) -> list[Script]:
    return [
        Script(id=f"{_prefix(rule)}{path}", source=source, expects="value")
        for path, source in rule.scripts().items()
    ]


def _compute_recipients(
    asked: Sequence[Sequence[OutboundRule]],
    decided: list[list[Decision]],
    variables: Sequence[Mapping[str, Any]],
    sandbox: Sandbox,
) -> None:
    wanted = [
        {
            script.id
            for rule, decision in zip(rules, decisions, strict=True)
            if decision.verdict is Verdict.MATCH
            for script in _recipients(rule)
        }
        for rules, decisions in zip(asked, decided, strict=True)
    ]
    scripts = {
        script.id: script for rules in asked for rule in rules for script in _recipients(rule)
    }
    if not any(wanted):
        return
    outcomes = sandbox.evaluate(list(scripts.values()), variables, wanted=wanted)
    for rules, decisions, said in zip(asked, decided, outcomes, strict=True):
        for position, rule in enumerate(rules):
            prefix = _prefix(rule)
            values = {
                key.removeprefix(prefix): outcome
                for key, outcome in said.items()
                if key.startswith(prefix)
            }
            if values:
                decisions[position] = with_values(decisions[position], values)
