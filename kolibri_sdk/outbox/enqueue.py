"""Queueing a mail in the transaction that causes it: a row per language of recipients (S8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, MessageState
from kolibri_sdk.model.outbox import OutboxState, Spent
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.model.template import Template
from kolibri_sdk.outbox.caps import WINDOW, Allowances, Held, spent_by, why_held
from kolibri_sdk.outbox.provoked import Provoked
from kolibri_sdk.outbox.recipients import Dropped, Person, Resolved
from kolibri_sdk.reference import Carriers, mint_carriers, plain_message_id
from kolibri_sdk.store import allowance, bounced, ids, keys, messages, outbox

__all__ = ["BOUNCED", "BULK", "Bulk", "MailRequest", "Queued", "enqueue", "enqueue_all"]

#: How the cause of a mail ends that is held because its recipient's address bounced.
BOUNCED = "/bounced"
#: Of which kind the reason is why the mails of a bulk change are held.
BULK = "mails of a bulk change"
_CAME_BACK = "mails to addresses that mails came back from"


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that a rule wants sent; ``cause`` is unique: the same cause never sends twice."""

    mailbox: Mailbox
    template: Template
    to: Resolved
    cause: str  #: such as ``message:4711/rule:create-incident/1``
    context: Mapping[str, Any]  #: plain data for the template
    entity: Entity | None = None
    record_key: RecordKey | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    answers: int | None = None  #: id of the message that it replies to
    provoked: Provoked | None = None  #: the mail that caused it, answered or not
    rule: str = ""  #: the outgoing rule that wants it: ``incident/group-changed``


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a request: outbox rows, and who gets nothing."""

    items: tuple[int, ...]
    held: int
    dropped: tuple[Dropped, ...]
    reasons: tuple[str, ...] = ()  #: of which kinds the reasons are why some are held


@dataclass(slots=True)
class Bulk:
    """Mails of one rule that are held together, because they are too many to go out unseen."""

    reason: str
    number: int | None = None  #: of the first of them; known once it is in the outbox


@dataclass(slots=True)
class _Row:
    """An outbox row to be: recipients of one request who share a language and a fate."""

    request: int  #: its place in the batch
    language: str
    name: str  #: what it is called within the request
    people: list[Person]
    held: list[Held]
    bulk: Bulk | None = None
    number: int = 0
    message: int = 0

    @property
    def told(self) -> str:
        """Why it is held; empty where it is not."""
        return "; ".join(dict.fromkeys(one.reason for one in self.held))


def enqueue(tx: sa.Connection, request: MailRequest) -> Queued:
    """Enter the mail into the outbox, its Message-ID and reference minted; nothing is rendered yet.

    Recipients are grouped by the language of the template they get. A mail beyond a cap of the
    mailbox, or that might feed a loop, is held in a row of its own, visible, and not sent until a
    person releases it; so is the mail to an address that mails came back from, each for itself.
    """
    return enqueue_all(tx, [request])[0]


def enqueue_all(
    tx: sa.Connection,
    requests: Sequence[MailRequest],
    bulks: Mapping[str, Bulk] | None = None,
) -> list[Queued]:
    """Enter many mails with few statements; what became of each request.

    Parameters
    ----------
    bulks : mapping of str to Bulk, optional
        By outgoing rule: all its mails are held, together.

    Raises
    ------
    ActionError
        When a mailbox cannot send; nothing of the batch is entered then.
    """
    for request in requests:
        if request.mailbox.outbound is None:
            raise ActionError(
                f"The mailbox {request.mailbox.name} has no outbound side",
                f"Add outbound: to {request.mailbox.file or 'its file'}, or name another mailbox",
            )
    done: list[Queued] = []
    for together in _batches(requests):
        done += _enqueue_batch(tx, together, bulks or {})
    return done


def _batches(requests: Sequence[MailRequest]) -> Iterator[list[MailRequest]]:
    """Those that no mail provoked together; others alone, for their caps count what went before."""
    for provoked, some in groupby(requests, lambda one: one.provoked is not None):
        if provoked:
            yield from ([one] for one in some)
        else:
            yield list(some)


def _enqueue_batch(
    tx: sa.Connection, requests: Sequence[MailRequest], bulks: Mapping[str, Bulk]
) -> list[Queued]:
    people = [(one.mailbox, person) for one in requests for person in one.to.people]
    marked = bounced.unreachable(tx, (person.address.address for _, person in people))
    allowances = Allowances(tx)
    for mailbox in {box.name: box for box, _ in people}.values():
        allowances.look_up(mailbox, (p for box, p in people if box.name == mailbox.name))
    rows: list[_Row] = []
    for place, request in enumerate(requests):
        bulk = bulks.get(request.rule)
        for language, some in _by_language(request).items():
            checked = [(p, _held(tx, request, p, marked, allowances, bulk)) for p in some]
            for name, fates in _by_fate(language, checked).items():
                held = [why for _, why in fates if why is not None]
                in_bulk = bulk if any(why.kind == BULK for why in held) else None
                row = _Row(place, language, name, [one for one, _ in fates], held, in_bulk)
                rows.append(row)
                for one in () if held else _spent(request, row):
                    allowances.spend(one)
    entered = _insert(tx, requests, rows)
    spent = [
        (row.number, one)
        for row in entered
        if not row.held
        for one in _spent(requests[row.request], row)
    ]
    allowance.note(tx, spent, clock.now() - WINDOW)
    of: dict[int, list[_Row]] = {}
    for row in entered:
        of.setdefault(row.request, []).append(row)
    return [_queued(request, of.get(place, ())) for place, request in enumerate(requests)]


def _queued(request: MailRequest, rows: Sequence[_Row]) -> Queued:
    kinds = dict.fromkeys(why.kind for row in rows for why in row.held)
    held = sum(bool(row.held) for row in rows)
    return Queued(tuple(row.number for row in rows), held, request.to.dropped, tuple(kinds))


def _spent(request: MailRequest, row: _Row) -> Iterator[Spent]:
    box, about = request.mailbox, request.record_key
    return (spent_by(box, one, request.provoked, about, request.rule) for one in row.people)


def _held(
    tx: sa.Connection,
    request: MailRequest,
    person: Person,
    marked: Mapping[str, Any],
    allowances: Allowances,
    bulk: Bulk | None,
) -> Held | None:
    mark = marked.get(person.address.address.lower())
    if mark:
        return Held(_CAME_BACK, _came_back(mark))
    if bulk is not None:
        return Held(BULK, bulk.reason)
    return why_held(tx, request.mailbox, person, request.provoked, request.record_key, allowances)


def _by_language(request: MailRequest) -> dict[str, list[Person]]:
    groups: dict[str, list[Person]] = {}
    for person in request.to.people:
        wanted = person.user.language if person.user else None
        variant = request.template.choose(wanted, request.mailbox.language)
        groups.setdefault(variant.language, []).append(person)
    return groups


def _by_fate(
    language: str, checked: Sequence[tuple[Person, Held | None]]
) -> dict[str, list[tuple[Person, Held | None]]]:
    """Who shares a row, by its name: those who get the mail, those held, who came back alone."""
    rows: dict[str, list[tuple[Person, Held | None]]] = {}
    for person, why in checked:
        name = language
        if why is not None:
            alone = why.kind == _CAME_BACK
            name += f"/{person.address.address.lower()}{BOUNCED}" if alone else "/held"
        rows.setdefault(name, []).append((person, why))
    return rows


def _came_back(mark: Mapping[str, Any]) -> str:
    address, times = mark["address"], mark["permanent"]
    why = (
        mark["reason"] if mark["status"] in mark["reason"] else f"{mark['status']} {mark['reason']}"
    )
    return (
        f"mails to {address} came back since {mark['since']:%Y-%m-%d} "
        f"({times} time{'s' * (times > 1)}, last: {why[:200]}). Where the address works again: "
        f"kolibri bounced clear {address}"
    )


def _insert(tx: sa.Connection, requests: Sequence[MailRequest], rows: Sequence[_Row]) -> list[_Row]:
    """Enter the rows, each with its message; those whose cause has a mail already stay out."""
    numbers, numbered = ids.take(tx, "outbox", len(rows)), ids.take(tx, "message", len(rows))
    signing = keys.current(tx) if any(one.record_key for one in requests) else None
    items = []
    for row, number, message in zip(rows, numbers, numbered, strict=True):
        row.number, row.message = number, message
        if row.bulk is not None and row.bulk.number is None:
            row.bulk.number = number
        request = requests[row.request]
        carriers = _carriers(tx, request, signing)
        items.append(
            OutboxItem(
                id=number,
                message=message,
                mailbox=request.mailbox.name,
                state=OutboxState.HELD if row.held else OutboxState.QUEUED,
                recipients=tuple(person.address.address for person in row.people),
                cause=f"{request.cause}/{row.name}",
                message_id=carriers.message_id,
                sender=_envelope_sender(request),
                request=_plain_request(request, row.language, row.people, carriers),
                record=request.record_key,
                error=row.told,
                rule=request.rule,
                bulk=row.bulk.number if row.bulk else None,
            )
        )
    new = outbox.insert_many(tx, items, due_at=clock.now())
    entered = [(row, item) for row, item in zip(rows, items, strict=True) if item.id in new]
    messages.insert_all_outgoing(tx, [_outgoing(requests[r.request], r, i) for r, i in entered])
    return [row for row, _ in entered]


def _outgoing(request: MailRequest, row: _Row, item: OutboxItem) -> messages.Outgoing:
    return messages.Outgoing(
        number=row.message,
        mailbox=request.mailbox.name,
        message_id=item.message_id,
        sender=_sender(request.mailbox),
        to=[person.address for person in row.people],
        record=request.record_key,
        cause=request.answers,
        state=MessageState.HELD if row.held else MessageState.QUEUED,
        depth=request.provoked.depth + 1 if request.provoked else 1,
    )


def _carriers(
    tx: sa.Connection, request: MailRequest, signing: tuple[int, bytes] | None
) -> Carriers:
    if request.entity is None or request.record_key is None:
        return Carriers(plain_message_id(request.mailbox))
    return mint_carriers(
        tx, request.mailbox, request.entity, request.record_key, request.record, signing
    )


def _sender(mailbox: Mailbox) -> Address:
    return Address(mailbox.address, mailbox.display_name)


def _envelope_sender(request: MailRequest) -> str:
    # RFC 3834 section 4: an automatic answer goes out with the null return path, so that no
    # bounce and no other responder can answer it.
    return "" if request.answers is not None else request.mailbox.address


def _plain_request(
    request: MailRequest, language: str, people: Sequence[Person], carriers: Carriers
) -> dict[str, Any]:
    single = people[0] if len(people) == 1 else None
    return {
        "template": request.template.name,
        "language": language,
        "context": {**request.context, "user": _user(single)},
        "to": [{"address": p.address.address, "name": p.address.name} for p in people],
        "carriers": carriers.as_json(),
        "noted": request.entity is not None and request.entity.activity_stream,
    }


def _user(person: Person | None) -> dict[str, Any] | None:
    if person is None:
        return None
    known = person.user
    return {
        "id": known.id if known else None,
        "name": person.address.name or (known.name if known else ""),
        "address": person.address.address,
        "language": known.language if known else None,
    }
