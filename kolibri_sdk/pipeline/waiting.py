"""Mails of outgoing rules that have waited for a delay or a digest, and whose time has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.actions import digest_request, notice_request, unwanted
from kolibri_sdk.decide import decide_again, outdated
from kolibri_sdk.errors import ActionError, NotFound
from kolibri_sdk.model.decision import Said
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.rule import OutboundRule, RuleState
from kolibri_sdk.model.stored import RecordEvent, StoredMessage
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import (
    MailRequest,
    Person,
    Queued,
    Resolved,
    StoredUsers,
    enqueue_all,
    resolve_in,
)
from kolibri_sdk.pipeline.bulks import bulks_among
from kolibri_sdk.pipeline.faults import tell_faults
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import capture, messages, users, waiting
from kolibri_sdk.store.waiting import Waiting

__all__ = ["run_waiting"]

_BATCH = 500  #: mails that are queued in one transaction
_AGAIN = timedelta(minutes=10)  #: after which a mail is tried again that something keeps


@dataclass(slots=True)
class _Due:
    """A mail whose time has come: the changes that go into it, and what becomes of it."""

    waited: Sequence[Waiting]
    events: Sequence[RecordEvent]
    rule: OutboundRule | None
    request: MailRequest | None = None
    dropped: str = ""  #: why it is not sent
    error: str = ""

    @property
    def about(self) -> str:
        """What it is about, for people."""
        first = self.waited[0]
        more = f" and {len(self.waited) - 1:,} more changes" if len(self.waited) > 1 else ""
        return f"{first.entity} {first.record_key}{more}, rule {first.rule}"


def run_waiting(system: System, report: PassReport) -> None:
    """Queue what is due: a delayed mail if its condition still holds, a digest as one mail."""
    while True:
        with system.store.read() as tx:
            mails = list(_read(system, tx, waiting.due(tx, _BATCH)))
            if not mails:
                return
            everybody = {event.provenance.user or "" for one in mails for event in one.events}
            people = users.find(tx, everybody - {""})
            _settle_delayed(system, tx, mails, people, report)
            _settle_digests(system, tx, mails, people)
            bulks = bulks_among(tx, [one.request for one in mails if one.request])
        checkpoint.reach("waiting.decided")
        with system.store.write() as tx:
            taken, queued = _carry_out(tx, mails, bulks)
            checkpoint.reach("waiting.queued")
        _tell(taken, queued, report)


def _read(system: System, tx: sa.Connection, found: Sequence[list[Waiting]]) -> Iterator[_Due]:
    rules = {
        (rule.entity, rule.name): rule
        for rule in system.rulebook.outbound_rules
        if rule.state is RuleState.ACTIVE
    }
    events = capture.of_numbers(tx, (one.event for waited in found for one in waited))
    for waited in found:
        seen = [
            system.tables.plain_event(tx, events[one.event])
            for one in waited
            if one.event in events
        ]
        rule = rules.get((waited[0].entity, waited[0].rule))
        due = _Due(waited, seen, rule)
        if rule is None:
            due.dropped = "its rule is gone, or no longer active"
        elif not seen:
            due.dropped = "the changes that it would tell of are gone"
        yield due


def _settle_delayed(
    system: System,
    tx: sa.Connection,
    mails: Iterable[_Due],
    people: Mapping[str, User],
    report: PassReport,
) -> None:
    """Ask once more about the record as it is by now, and about who gets the mail."""
    asked: list[tuple[_Due, OutboundRule, RecordEvent, Mapping[str, Any] | None]] = []
    for due in mails:
        if due.waited[0].address or due.dropped or due.rule is None:
            continue
        (event,) = due.events
        now = system.tables.find(tx, event.record)
        due.dropped = outdated(event, now, system.rulebook.entities.get(event.record.entity))
        if not due.dropped:
            asked.append((due, due.rule, event, now if now is not None else event.before))
    decided = decide_again(
        [rule for _, rule, _, _ in asked],
        [event for _, _, event, _ in asked],
        [record for _, _, _, record in asked],
        system.sandbox,
        people,
    )
    tell_faults(
        system.rulebook,
        ((event, Said([one])) for (_, _, event, _), one in zip(asked, decided, strict=True)),
        report,
    )
    directory = StoredUsers(tx)
    numbers = (event.provenance.message for _, _, event, _ in asked)
    provoking = messages.get_many(tx, {number for number in numbers if number is not None})
    for (due, rule, event, record), decision in zip(asked, decided, strict=True):
        if not decision.acts:
            due.dropped = decision.reason or "its condition no longer holds"
            continue
        by = event.provenance.message
        mail = provoking.get(by) if by is not None else None
        try:
            due.request = _delayed(system, directory, rule, event, record, decision.values, mail)
        except (ActionError, NotFound) as error:
            due.error = str(error)


def _delayed(
    system: System,
    directory: StoredUsers,
    rule: OutboundRule,
    event: RecordEvent,
    record: Mapping[str, Any] | None,
    values: Mapping[str, Any],
    provoking: StoredMessage | None,
) -> MailRequest:
    book = system.rulebook
    to = resolve_in(directory, rule.to, record, values, unwanted(book, provoking))
    return notice_request(
        book,
        rule,
        event,
        to,
        record=record,
        provoking=provoking,
        record_link=system.project.record_link,
    )


def _settle_digests(
    system: System, tx: sa.Connection, mails: Iterable[_Due], people: Mapping[str, User]
) -> None:
    gathered = [
        due for due in mails if due.waited[0].address and not due.dropped and due.rule is not None
    ]
    known = users.find(tx, {due.waited[0].address for due in gathered})
    for due in gathered:
        assert due.rule is not None
        address = due.waited[0].address
        user = known.get(address)
        person = Person(Address(address, user.name if user else ""), user)
        try:
            due.request = digest_request(
                system.rulebook,
                due.rule,
                due.events,
                Resolved((person,)),
                f"event:{due.waited[0].event}/rule:{due.rule.name}/digest:{address}",
                people=people,
                record_link=system.project.record_link,
            )
        except (ActionError, NotFound) as error:
            due.error = str(error)


def _carry_out(
    tx: sa.Connection, mails: Sequence[_Due], bulks: Mapping[str, Any]
) -> tuple[list[_Due], dict[int, Queued]]:
    """What nobody else has taken meanwhile, and what became of it, by its place."""
    taken: list[_Due] = []
    for due in mails:
        numbers = [one.id for one in due.waited]
        if due.error:
            waiting.postpone(tx, numbers, clock.now() + _AGAIN, due.error)
            taken.append(due)
            continue
        mine = waiting.finish(tx, numbers, reason=due.dropped)
        if len(mine) == len(due.waited):
            taken.append(due)
        elif mine:  # the digest grew or shrank meanwhile: it is looked at anew
            raise ActionError(f"{due.about}: another poller has taken a part of it", "Poll again")
    wanted = {place: due.request for place, due in enumerate(taken) if due.request is not None}
    queued = dict(zip(wanted, enqueue_all(tx, list(wanted.values()), bulks), strict=True))
    waiting.became(
        tx,
        {one.id: result.items for place, result in queued.items() for one in taken[place].waited},
    )
    return taken, queued


def _tell(taken: Sequence[_Due], queued: Mapping[int, Queued], report: PassReport) -> None:
    for place, due in enumerate(taken):
        if due.error:
            report.errors.append(f"{due.about}: {due.error} (tried again in ten minutes)")
        elif due.dropped:
            report.refuse([f"{due.about}: no mail, {due.dropped}"])
        if place in queued:
            result = queued[place]
            report.counts["queued"] += len(result.items)
            report.hold(result.held, result.reasons)
            report.refuse(
                f"{due.about}: no mail to {one.value}: {one.reason}" for one in result.dropped
            )
