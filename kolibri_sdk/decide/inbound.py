"""Incoming rules × messages → decisions: pure, in order, the same for poller and lab (S24)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kolibri_sdk.decide.verdicts import judged, skipped, with_values
from kolibri_sdk.model.binding import message_binding
from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.model.rule import Action, InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.sandbox import Outcome, Sandbox, Script, fields_read

__all__ = ["Subject", "decide_messages"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A message to be decided on, with the record that its reference leads to."""

    message: StoredMessage
    hit: ReferenceHit | None = None
    record: Mapping[str, Any] | None = None

    def variables(self, fields: Collection[str] | None = None) -> dict[str, Any]:
        """What its conditions see; of the message these fields alone, where they are given."""
        message = message_binding(self.message, self.hit, fields)
        return {"message": message, "record": self.record}


def decide_messages(
    rules: Sequence[InboundRule],
    subjects: Sequence[Subject],
    sandbox: Sandbox,
    entities: Mapping[str, Entity],
) -> list[Said]:
    """Decide every rule on every message; drafts are left out.

    All conditions see the message as it came in, never what an earlier rule did. A match with
    ``stop`` ends the list, and so does an error of a rule with ``on_error: stop``. The values
    that the actions of a match need are computed here too, so that carrying them out needs no
    JavaScript.

    Returns
    -------
    list of Said
        One per message, each in the order of the rules.
    """
    live = [rule for rule in rules if rule.state is not RuleState.DRAFT]
    if not live or not subjects:
        return [Said() for _ in subjects]
    sources = [rule.when for rule in live]
    sources += [text for rule in live for act in rule.then for text in act.scripts().values()]
    fields = fields_read(sources, "message")
    variables = [subject.variables(fields) for subject in subjects]
    outcomes = sandbox.evaluate([_condition(rule) for rule in live], variables)
    decided = _judge_all(live, outcomes)
    _compute_values(live, decided, variables, sandbox, entities)
    return decided


def _condition(rule: InboundRule) -> Script:
    return Script(id=f"{rule.name}/when", source=rule.when, expects="boolean")


def _judge_all(
    rules: Sequence[InboundRule], outcomes: Sequence[Mapping[str, Outcome]]
) -> list[Said]:
    """What the outcomes amount to; where they are the same objects, it is the same object."""
    names = [_condition(rule).id for rule in rules]
    known: dict[tuple[int, ...], Said] = {}
    # A rule's plain answers are one object each for a whole batch, and so are their decisions.
    made: list[dict[int, Decision]] = [{} for _ in rules]
    decided = []
    for row in outcomes:
        found = [row[name] for name in names]
        key = tuple(map(id, found))
        if key not in known:
            for rule, outcome, of_rule in zip(rules, found, made, strict=True):
                if id(outcome) not in of_rule:
                    of_rule[id(outcome)] = judged(rule, outcome)
            decisions = [of_rule[one] for of_rule, one in zip(made, key, strict=True)]
            known[key] = _in_order(rules, decisions)
        decided.append(known[key])
    return decided


def _in_order(rules: Sequence[InboundRule], decisions: Sequence[Decision]) -> Said:
    result: list[Decision] = []
    stopped_by = ""
    for rule, decision in zip(rules, decisions, strict=True):
        if stopped_by:
            result.append(skipped(rule, stopped_by))
            continue
        result.append(decision)
        failed = decision.verdict not in {Verdict.MATCH, Verdict.NO}
        # A rule in the shadow changes nothing, and so it stops nothing either.
        if not decision.shadow and (
            (rule.stop and decision.verdict is Verdict.MATCH)
            or (rule.on_error == "stop" and failed)
        ):
            stopped_by = rule.name
    return Said(result)


@dataclass(slots=True)
class _Match:
    """A match whose action values are being computed."""

    rule: InboundRule
    message: int
    position: int
    record: Mapping[str, Any] | None


def _compute_values(
    rules: Sequence[InboundRule],
    decided: list[Said],
    variables: Sequence[Mapping[str, Any]],
    sandbox: Sandbox,
    entities: Mapping[str, Entity],
) -> None:
    """Fill in the values action by action: a later action sees the record an earlier one plans."""
    matches = [
        _Match(rule, message, position, variables[message]["record"])
        for message, decisions in enumerate(decided)
        if decisions.matches
        for position, (rule, decision) in enumerate(zip(rules, decisions, strict=True))
        if decision.verdict is Verdict.MATCH
    ]
    for step in range(max((len(match.rule.then) for match in matches), default=0)):
        at_work = [
            match
            for match in matches
            if step < len(match.rule.then)
            and decided[match.message][match.position].verdict is Verdict.MATCH
        ]
        scripts = {
            script.id: script
            for match in at_work
            for script in _scripts(match.rule, step, match.rule.then[step])
        }
        outcomes = sandbox.evaluate(
            list(scripts.values()),
            [{**variables[m.message], "record": m.record} for m in at_work],
            wanted=[
                {script.id for script in _scripts(m.rule, step, m.rule.then[step])} for m in at_work
            ],
        )
        for match, said in zip(at_work, outcomes, strict=True):
            prefix = f"{match.rule.name}/"
            values = {key.removeprefix(prefix): outcome for key, outcome in said.items()}
            before = decided[match.message]
            decision = with_values(before[match.position], values)
            decided[match.message] = Said(
                decision if position == match.position else one
                for position, one in enumerate(before)
            )
            match.record = _planned(match, match.rule.then[step], step, decision, entities)


def _scripts(rule: InboundRule, step: int, action: Action) -> list[Script]:
    return [
        Script(id=f"{rule.name}/{step}.{path}", source=source, expects="value")
        for path, source in action.scripts().items()
    ]


def _planned(
    match: _Match,
    action: Action,
    step: int,
    decision: Decision,
    entities: Mapping[str, Entity],
) -> Mapping[str, Any] | None:
    """The record as later actions of this rule see it, before it is in the database."""
    prefix = f"{step}.set."
    values = {
        path.removeprefix(prefix): value
        for path, value in decision.values.items()
        if path.startswith(prefix)
    }
    if action.create_record:
        entity = entities.get(action.create_record.entity)
        return {**dict.fromkeys(entity.fields if entity else ()), **values}
    if action.update_record:
        return {**(match.record or {}), **values}
    return match.record
