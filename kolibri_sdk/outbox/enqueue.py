"""Queueing a mail in the transaction that causes it: a row per language of recipients (S8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.model.template import Template
from kolibri_sdk.outbox.recipients import Dropped, Person, Resolved
from kolibri_sdk.reference import Carriers, mint_carriers, plain_message_id
from kolibri_sdk.store import bounced, ids, messages, outbox

__all__ = ["BOUNCED", "MailRequest", "Queued", "enqueue"]

#: How the cause of a mail ends that is held because its recipient's address bounced.
BOUNCED = "/bounced"

_CAP_WINDOW = timedelta(hours=1)


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


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a request: outbox rows, and who gets nothing."""

    items: tuple[int, ...]
    held: int
    dropped: tuple[Dropped, ...]


def enqueue(tx: sa.Connection, request: MailRequest) -> Queued:
    """Enter the mail into the outbox, its Message-ID and reference minted; nothing is rendered yet.

    Recipients are grouped by the language of the template they get. Where an address has had its
    share of automatic mail for the hour, the row is held, visible, and not sent; so is the mail to
    an address that mails came back from, a row of its own.
    """
    if request.mailbox.outbound is None:
        raise ActionError(
            f"The mailbox {request.mailbox.name} has no outbound side",
            f"Add outbound: to {request.mailbox.file or 'its file'}, or name another mailbox",
        )
    numbers = []
    held = 0
    marked = bounced.unreachable(tx, (one.address.address for one in request.to.people))
    for language, people in _by_language(request).items():
        for name, some in _by_reach(language, people, marked).items():
            mark = marked.get(some[0].address.address.lower())
            why = _came_back(mark) if mark else _over_cap(tx, request.mailbox, some)
            number = _insert(tx, request, language, some, name, why)
            if number is not None:
                numbers.append(number)
                held += bool(why)
    return Queued(tuple(numbers), held, request.to.dropped)


def _by_language(request: MailRequest) -> dict[str, list[Person]]:
    groups: dict[str, list[Person]] = {}
    for person in request.to.people:
        wanted = person.user.language if person.user else None
        variant = request.template.choose(wanted, request.mailbox.language)
        groups.setdefault(variant.language, []).append(person)
    return groups


def _by_reach(
    language: str, people: Sequence[Person], marked: Mapping[str, Any]
) -> dict[str, list[Person]]:
    """Everybody who can be reached together, and each of the others alone; by the row's name."""
    rows: dict[str, list[Person]] = {}
    for person in people:
        address = person.address.address.lower()
        name = f"{language}/{address}{BOUNCED}" if address in marked else language
        rows.setdefault(name, []).append(person)
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


def _over_cap(tx: sa.Connection, mailbox: Mailbox, people: Sequence[Person]) -> str:
    addresses = [person.address.address for person in people]
    counts = outbox.queued_since(tx, mailbox.name, addresses, clock.now() - _CAP_WINDOW)
    over = sorted(address for address, n in counts.items() if n >= mailbox.answers_per_hour)
    if not over:
        return ""
    return (
        f"{', '.join(over)} had {mailbox.answers_per_hour} automatic mails in the last hour "
        f"(answers_per_hour of mailbox {mailbox.name})"
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
