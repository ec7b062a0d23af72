"""Queueing a mail in the transaction that causes it: a row per language of recipients (S8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.model.template import Template
from kolibri_sdk.outbox.caps import WINDOW, Held, spent_by, why_held
from kolibri_sdk.outbox.provoked import Provoked
from kolibri_sdk.outbox.recipients import Dropped, Person, Resolved
from kolibri_sdk.reference import Carriers, mint_carriers, plain_message_id
from kolibri_sdk.store import allowance, bounced, ids, messages, outbox

__all__ = ["BOUNCED", "MailRequest", "Queued", "enqueue"]

#: How the cause of a mail ends that is held because its recipient's address bounced.
BOUNCED = "/bounced"
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


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a request: outbox rows, and who gets nothing."""

    items: tuple[int, ...]
    held: int
    dropped: tuple[Dropped, ...]
    reasons: tuple[str, ...] = ()  #: of which kinds the reasons are why some are held


def enqueue(tx: sa.Connection, request: MailRequest) -> Queued:
    """Enter the mail into the outbox, its Message-ID and reference minted; nothing is rendered yet.

    Recipients are grouped by the language of the template they get. A mail beyond a cap of the
    mailbox, or that might feed a loop, is held in a row of its own, visible, and not sent until a
    person releases it; so is the mail to an address that mails came back from, each for itself.
    """
    if request.mailbox.outbound is None:
        raise ActionError(
            f"The mailbox {request.mailbox.name} has no outbound side",
            f"Add outbound: to {request.mailbox.file or 'its file'}, or name another mailbox",
        )
    numbers: list[int] = []
    reasons: dict[str, None] = {}
    held = 0
    marked = bounced.unreachable(tx, (one.address.address for one in request.to.people))
    for language, people in _by_language(request).items():
        checked = [(one, _held(tx, request, one, marked)) for one in people]
        for name, rows in _by_fate(language, checked).items():
            some, why = [one for one, _ in rows], [one for _, one in rows if one is not None]
            told = "; ".join(dict.fromkeys(one.reason for one in why))
            number = _insert(tx, request, language, some, name, told)
            if number is None:
                continue
            numbers.append(number)
            held += bool(why)
            reasons |= dict.fromkeys(one.kind for one in why)
            if not why:
                box, about = request.mailbox, request.record_key
                spent = [spent_by(box, one, request.provoked, about) for one in some]
                allowance.note(tx, number, spent, clock.now() - WINDOW)
    return Queued(tuple(numbers), held, request.to.dropped, tuple(reasons))


def _held(
    tx: sa.Connection, request: MailRequest, person: Person, marked: Mapping[str, Any]
) -> Held | None:
    mark = marked.get(person.address.address.lower())
    if mark:
        return Held(_CAME_BACK, _came_back(mark))
    return why_held(tx, request.mailbox, person, request.provoked, request.record_key)


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


def _insert(
    tx: sa.Connection,
    request: MailRequest,
    language: str,
    people: Sequence[Person],
    name: str,
    held: str,
) -> int | None:
    carriers = _carriers(tx, request)
    number, message = ids.take(tx, "outbox", 1)[0], ids.take(tx, "message", 1)[0]
    item = OutboxItem(
        id=number,
        message=message,
        mailbox=request.mailbox.name,
        state=OutboxState.HELD if held else OutboxState.QUEUED,
        recipients=tuple(person.address.address for person in people),
        cause=f"{request.cause}/{name}",
        message_id=carriers.message_id,
        sender=_envelope_sender(request),
        request=_plain_request(request, language, people, carriers),
        record=request.record_key,
        error=held,
    )
    if not outbox.insert(tx, item, due_at=clock.now()):
        return None
    messages.insert_outgoing(
        tx,
        number=message,
        mailbox=request.mailbox.name,
        message_id=carriers.message_id,
        sender=_sender(request.mailbox),
        to=[person.address for person in people],
        record=request.record_key,
        cause=request.answers,
        state=MessageState.HELD if held else MessageState.QUEUED,
        depth=request.provoked.depth + 1 if request.provoked else 1,
    )
    return number


def _carriers(tx: sa.Connection, request: MailRequest) -> Carriers:
    if request.entity is None or request.record_key is None:
        return Carriers(plain_message_id(request.mailbox))
    return mint_carriers(
        tx, request.mailbox, request.entity, request.record_key, dict(request.record)
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
        "carriers": asdict(carriers),
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
