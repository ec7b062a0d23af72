"""Stage 4: changes of records, whoever made them, through the outgoing rules (S5-S8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import checkpoint
from kolibri_sdk.actions import automatic_senders, template_context
from kolibri_sdk.decide import decide_events
from kolibri_sdk.errors import ActionError, NotFound
from kolibri_sdk.model.decision import Decision, Said
from kolibri_sdk.model.rule import OutboundRule
from kolibri_sdk.model.stored import RecordEvent, StoredMessage
from kolibri_sdk.outbox import MailRequest, Provoked, Queued, enqueue, resolve
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import capture, decisions, messages

__all__ = ["run_events"]

_BATCH = 500
_MOST_ATTEMPTS = 5


def run_events(system: System, report: PassReport) -> None:
    """Decide on every change that no outgoing rule has seen, and queue the mails."""
    after = 0
    while True:
        with system.store.read() as tx:
            found = capture.pending(tx, _BATCH, max_attempts=_MOST_ATTEMPTS, after=after)
            events = [system.tables.plain_event(tx, event) for event in found]
        if not events:
            return
        rules = system.rulebook.outbound_rules
        decided = decide_events(rules, events, system.sandbox, system.rulebook.entities)
        checkpoint.reach("events.decided")
        _apply_batch(system, events, decided, report)
        after = events[-1].id


def _apply_batch(
    system: System,
    events: Sequence[RecordEvent],
    decided: Sequence[Said],
    report: PassReport,
) -> None:
    """Changes that no rule acts on in one transaction, every other one in its own."""
    quiet = [(event, said) for event, said in zip(events, decided, strict=True) if not said.acts]
    with system.store.write() as tx:
        mine = [(event, said) for event, said in quiet if capture.finish(tx, event.id)]
        decisions.add(tx, [decisions.Decided(said, event=event.id) for event, said in mine])
    for event, said in mine:
        _count(report, event, said, system)
    for event, said in zip(events, decided, strict=True):
        if said.acts:
            _apply(system, event, said, report)


def _apply(system: System, event: RecordEvent, said: Said, report: PassReport) -> None:
    rules = {rule.name: rule for rule in system.rulebook.outbound(event.record.entity)}
    try:
        with system.store.write() as tx:
            if not capture.finish(tx, event.id):
                return
            provoking = _provoking(tx, event)
            excluded = system.rulebook.own_addresses()
            excluded |= automatic_senders(provoking) if provoking else {}
            queued = {
                decision.rule: _queue(
                    system, tx, event, rules[decision.rule], decision, excluded, provoking
                )
                for decision in said
                if decision.acts
            }
            checkpoint.reach("events.queued")
            told = {rule: [_told(result)] for rule, result in queued.items()}
            decisions.add(tx, [decisions.Decided(said, event=event.id, actions=told)])
    except (ActionError, NotFound) as error:
        with system.store.write() as tx:
            capture.finish(tx, event.id, error=str(error))
        report.errors.append(f"{event.record}, {event.kind} (event {event.id}): {error}")
        return
    _count(report, event, said, system)
    for rule, result in queued.items():
        report.counts["queued"] += len(result.items)
        report.hold(result.held, result.reasons)
        report.refuse(
            f"{event.record}, rule {rule}: no mail to {one.value}: {one.reason}"
            for one in result.dropped
        )


def _provoking(tx: sa.Connection, event: RecordEvent) -> StoredMessage | None:
    """The mail that came in and, by a rule, caused the change."""
    message = event.provenance.message
    return messages.get(tx, message) if message is not None else None


def _queue(
    system: System,
    tx: sa.Connection,
    event: RecordEvent,
    rule: OutboundRule,
    decision: Decision,
    excluded: Mapping[str, str],
    provoking: StoredMessage | None,
) -> Queued:
    mailbox = system.rulebook.mailboxes.get(rule.mailbox)
    template = system.rulebook.templates.get(rule.template)
    if mailbox is None or template is None:
        missing = f"mailbox {rule.mailbox!r}" if mailbox is None else f"template {rule.template!r}"
        raise ActionError(f"Rule {rule.name}: there is no usable {missing}", "Run: kolibri check")
    record = dict(event.after or event.before or {})
    try:
        to = resolve(tx, rule.to, record, decision.values, excluded)
    except ActionError as error:
        raise ActionError(
            f"Rule {rule.name} ({rule.file}): {error.what}", error.next_step
        ) from error
    request = MailRequest(
        mailbox=mailbox,
        template=template,
        to=to,
        cause=f"event:{event.id}/rule:{rule.name}",
        context=template_context(
            system.rulebook,
            mailbox.name,
            event.record,
            record,
            old=event.before,
            record_link=system.project.record_link,
        ),
        entity=system.tables.entity(event.record.entity),
        record_key=event.record,
        record=record,
        provoked=(Provoked.by(provoking, provoking.record, provoking.grade) if provoking else None),
    )
    return enqueue(tx, request)


def _told(queued: Queued) -> dict[str, Any]:
    dropped = [[one.value, one.reason] for one in queued.dropped]
    return {"action": "send_mail", "outbox": list(queued.items), "dropped": dropped}


def _count(report: PassReport, event: RecordEvent, said: Said, system: System) -> None:
    report.counts["events"] += 1
    report.counts["decisions"] += len(said)
    report.counts["matched"] += said.matches
    files = {rule.name: rule.file for rule in system.rulebook.outbound(event.record.entity)}
    report.errors.extend(
        f"{event.record}, {event.kind}: rule {one.rule} ({files.get(one.rule)}): {one.reason}"
        for one in said.faults
    )
