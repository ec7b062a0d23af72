"""Stage 4: changes of records, whoever made them, through the outgoing rules (S5-S8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import checkpoint
from kolibri_sdk.actions import notice_request, sending, unwanted
from kolibri_sdk.decide import decide_events
from kolibri_sdk.errors import ActionError, NotFound
from kolibri_sdk.model.decision import Said
from kolibri_sdk.model.rule import OutboundRule
from kolibri_sdk.model.stored import RecordEvent, StoredMessage
from kolibri_sdk.outbox import (
    Bulk,
    Dropped,
    MailRequest,
    Queued,
    StoredUsers,
    enqueue_all,
    named_in,
    resolve_in,
)
from kolibri_sdk.pipeline.bulks import bulks_among
from kolibri_sdk.pipeline.faults import tell_faults
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import capture, decisions, messages, users, waiting
from kolibri_sdk.store.waiting import Waiting

__all__ = ["run_events"]

_ROUND = 5000  #: changes that are looked at together: what is a bulk change shows only then
_BATCH = 500  #: changes that are carried out in one transaction
_MOST_ATTEMPTS = 5


@dataclass(slots=True)
class _Draft:
    """A change that was decided on, and what its rules want sent; nothing is written yet."""

    event: RecordEvent
    said: Said
    requests: dict[str, MailRequest] = field(default_factory=dict)  #: by rule
    waiting: dict[str, list[Waiting]] = field(default_factory=dict)
    dropped: dict[str, tuple[Dropped, ...]] = field(default_factory=dict)
    error: str = ""  #: why nothing of it can be carried out now


def run_events(system: System, report: PassReport) -> None:
    """Decide on every change that no outgoing rule has seen, and queue the mails."""
    after = 0
    while True:
        with system.store.read() as tx:
            found = capture.pending(tx, _ROUND, max_attempts=_MOST_ATTEMPTS, after=after)
            events = [system.tables.plain_event(tx, event) for event in found]
            people = users.find(tx, {one.provenance.user or "" for one in events} - {""})
        if not events:
            return
        book = system.rulebook
        decided = decide_events(book.outbound_rules, events, system.sandbox, book.entities, people)
        checkpoint.reach("events.decided")
        with system.store.read() as tx:
            drafts = list(_drafts(system, tx, events, decided))
            wanted = [one for draft in drafts for one in draft.requests.values()]
            bulks = bulks_among(tx, wanted)
        sound = [draft for draft in drafts if not draft.error]
        for start in range(0, len(sound), _BATCH):
            _carry_out(system, sound[start : start + _BATCH], bulks, report)
        for draft in drafts:
            if draft.error:
                _fail(system, draft, draft.error, report)
        tell_faults(book, ((draft.event, draft.said) for draft in sound), report)
        after = events[-1].id


def _drafts(
    system: System, tx: sa.Connection, events: Sequence[RecordEvent], decided: Sequence[Said]
) -> Iterator[_Draft]:
    """What is to be sent, worked out with few questions for all changes."""
    rules = {(rule.entity, rule.name): rule for rule in system.rulebook.outbound_rules}
    acting = [(event, said) for event, said in zip(events, decided, strict=True) if said.acts]
    directory = StoredUsers(tx)
    directory.find(
        {
            name
            for event, said in acting
            for decision in said.told
            if decision.acts
            for name in named_in(
                rules[event.record.entity, decision.rule].to, _record(event), decision.values
            )
        }
    )
    numbers = (event.provenance.message for event, _ in acting)
    provoking = messages.get_many(tx, {number for number in numbers if number is not None})
    nobody = unwanted(system.rulebook, None)
    for event, said in zip(events, decided, strict=True):
        draft = _Draft(event, said)
        if said.acts:
            by = event.provenance.message
            mail = provoking.get(by) if by is not None else None
            excluded = unwanted(system.rulebook, mail) if mail else nobody
            _fill(system, draft, rules, directory, mail, excluded)
        yield draft


def _record(event: RecordEvent) -> dict[str, Any]:
    return dict(event.after or event.before or {})


def _fill(
    system: System,
    draft: _Draft,
    rules: Mapping[tuple[str, str], OutboundRule],
    directory: StoredUsers,
    provoking: StoredMessage | None,
    excluded: Mapping[str, str],
) -> None:
    event, book = draft.event, system.rulebook
    for decision in draft.said.told:
        if not decision.acts:
            continue
        rule = rules[event.record.entity, decision.rule]
        try:
            if rule.delay is not None:
                sending(book, rule)
                draft.waiting[rule.name] = [_waits(rule, event)]
                continue
            to = resolve_in(directory, rule.to, _record(event), decision.values, excluded)
            if rule.gather is not None:
                sending(book, rule)
                people = [person.address.address for person in to.people]
                draft.waiting[rule.name] = [_waits(rule, event, one) for one in people]
                draft.dropped[rule.name] = to.dropped
                continue
            draft.requests[rule.name] = notice_request(
                book,
                rule,
                event,
                to,
                provoking=provoking,
                record_link=system.project.record_link,
            )
        except (ActionError, NotFound) as error:
            draft.error = str(error)
            return


def _waits(rule: OutboundRule, event: RecordEvent, address: str = "") -> Waiting:
    length = rule.delay or (rule.gather.every if rule.gather else None)
    assert length is not None
    per_record = rule.gather is not None and rule.gather.per == "record"
    return Waiting(
        entity=rule.entity,
        rule=rule.name,
        event=event.id,
        record_key=event.record.key,
        address=address,
        scope=event.record.key if per_record else "",
        due_at=event.at + length,
    )


def _carry_out(
    system: System, drafts: Sequence[_Draft], bulks: Mapping[str, Bulk], report: PassReport
) -> None:
    """All of it in one transaction; where that fails, each change in its own."""
    numbers = {name: bulk.number for name, bulk in bulks.items()}
    try:
        with system.store.write() as tx:
            faults = {one.event.id: _told_of(one.said) if one.said.faults else "" for one in drafts}
            mine = capture.finish_many(tx, faults)
            taken = [draft for draft in drafts if draft.event.id in mine]
            queued = _enqueue(tx, taken, bulks)
            waiting.add(
                tx, [one for draft in taken for some in draft.waiting.values() for one in some]
            )
            checkpoint.reach("events.queued")
            decisions.add(tx, [_decided(draft, queued) for draft in taken])
    except (ActionError, NotFound, sa.exc.IntegrityError) as error:
        for name, bulk in bulks.items():
            bulk.number = numbers[name]
        if len(drafts) > 1:
            for draft in drafts:
                _carry_out(system, [draft], bulks, report)
        else:
            _fail(system, drafts[0], str(error), report)
        return
    for draft in taken:
        _count(report, draft, queued)


def _enqueue(
    tx: sa.Connection, drafts: Sequence[_Draft], bulks: Mapping[str, Bulk]
) -> dict[tuple[int, str], Queued]:
    """What became of each change's rules, by the number of the change and the rule."""
    keys = [(draft.event.id, rule) for draft in drafts for rule in draft.requests]
    wanted = [one for draft in drafts for one in draft.requests.values()]
    return dict(zip(keys, enqueue_all(tx, wanted, bulks), strict=True))


def _decided(draft: _Draft, queued: Mapping[tuple[int, str], Queued]) -> decisions.Decided:
    told: dict[str, list[dict[str, Any]]] = {}
    for rule in draft.requests:
        told[rule] = [_told(queued[draft.event.id, rule])]
    for rule, some in draft.waiting.items():
        told[rule] = [
            {
                "action": "send_mail",
                "waits": [one.address for one in some if one.address],
                "dropped": [[one.value, one.reason] for one in draft.dropped.get(rule, ())],
            }
        ]
    return decisions.Decided(draft.said, event=draft.event.id, actions=told)


def _told(queued: Queued) -> dict[str, Any]:
    dropped = [[one.value, one.reason] for one in queued.dropped]
    return {"action": "send_mail", "outbox": list(queued.items), "dropped": dropped}


def _told_of(said: Said) -> str:
    return "; ".join(f"rule {one.rule}: {one.reason}" for one in said.faults)


def _fail(system: System, draft: _Draft, error: str, report: PassReport) -> None:
    event = draft.event
    with system.store.write() as tx:
        capture.finish(tx, event.id, error=error)
    report.errors.append(f"{event.record}, {event.kind} (event {event.id}): {error}")


def _count(report: PassReport, draft: _Draft, queued: Mapping[tuple[int, str], Queued]) -> None:
    report.counts.update(Counter(events=1, decisions=len(draft.said), matched=draft.said.matches))
    for rule in draft.requests:
        result = queued[draft.event.id, rule]
        report.counts["queued"] += len(result.items)
        report.hold(result.held, result.reasons)
        _refuse(report, draft, rule, result.dropped)
    for rule, some in draft.waiting.items():
        report.counts["waiting"] += len(some)
        _refuse(report, draft, rule, draft.dropped.get(rule, ()))


def _refuse(report: PassReport, draft: _Draft, rule: str, dropped: Sequence[Dropped]) -> None:
    report.refuse(
        f"{draft.event.record}, rule {rule}: no mail to {one.value}: {one.reason}"
        for one in dropped
    )
