"""KolibriMessage: one row per mail, in and out, and its way from fetched to done (S19, S22)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import NotFound
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address, Direction, MessageState
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage
from kolibri_sdk.store.arrivals import (
    Arrival,
    Claimed,
    claim_fetched,
    insert_fetched,
    release_claims,
    save_parsed,
    save_unparsed,
)
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.message_rows import (
    attachments_of,
    insert_attachments,
    parsed_columns,
    stored,
    with_attachments,
)
from kolibri_sdk.store.message_rows import people as _people
from kolibri_sdk.store.schema import message

__all__ = [
    "Arrival",
    "Claimed",
    "Outgoing",
    "answer_to",
    "attachments_of",
    "came_back",
    "claim_fetched",
    "finish",
    "finish_plainly",
    "get",
    "get_many",
    "insert_all_outgoing",
    "insert_attachments",
    "insert_fetched",
    "insert_outgoing",
    "latest_known",
    "mail_time",
    "mailbox_of",
    "parsed_columns",
    "pending",
    "release_claims",
    "save_outgoing",
    "save_parsed",
    "save_unparsed",
    "select",
    "set_aside",
    "tie",
]


#: When a mail was under way: when the server got it, else when it was sent, else stored here.
mail_time = sa.func.coalesce(message.c.received_at, message.c.sent_at, message.c.stored_at)


def pending(
    tx: sa.Connection, mailbox: str, limit: int, *, max_attempts: int, after: int = 0
) -> list[StoredMessage]:
    """Parsed mails whose rules have not run, and failed ones with a try left; oldest first.

    ``after`` leaves out ids up to this one: what has failed in this pass waits for the next.
    """
    waiting = sa.or_(
        message.c.state == MessageState.PARSED.value,
        sa.and_(message.c.state == MessageState.FAILED.value, message.c.attempts < max_attempts),
    )
    query = (
        sa.select(message)
        .where(waiting, message.c.mailbox == mailbox, message.c.id > after)
        .order_by(message.c.id)
        .limit(limit)
    )
    return with_attachments(tx, [stored(row) for row in tx.execute(query).mappings()])


def finish(
    tx: sa.Connection,
    found: StoredMessage,
    state: MessageState,
    *,
    record: RecordKey | None = None,
    grade: str | None = None,
    forged: int = 0,
    error: str = "",
) -> bool:
    """Move a message on from the state it was read in; False when somebody else did before."""
    moved = tx.execute(
        sa.update(message)
        .where(
            message.c.id == found.id,
            message.c.state == found.state.value,
            message.c.attempts == found.attempts,
        )
        .values(
            state=state.value,
            entity=record.entity if record else None,
            record_key=record.key if record else None,
            grade=grade,
            forged=forged,
            kind=found.kind.value,
            depth=found.depth,
            error=error,
            attempts=message.c.attempts + (1 if state is MessageState.FAILED else 0),
        )
    )
    return moved.rowcount == 1


def finish_plainly(tx: sa.Connection, found: Sequence[StoredMessage]) -> set[int]:
    """Mark parsed messages as done that came to nothing; those that nobody else had done before."""
    done: set[int] = set()
    for chunk in query_in_chunks(item.id for item in found):
        moved = (
            sa.update(message)
            .where(message.c.id.in_(chunk), message.c.state == MessageState.PARSED.value)
            .values(state=MessageState.DONE.value)
        )
        done.update(tx.scalars(moved.returning(message.c.id)))
    return done


def tie(tx: sa.Connection, number: int, record: RecordKey | None, grade: str | None) -> None:
    """Tie a message to a record, or to none."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number)
        .values(
            entity=record.entity if record else None,
            record_key=record.key if record else None,
            grade=grade,
        )
    )


def set_aside(tx: sa.Connection, number: int) -> None:
    """Mark a failed message as done: a person has dealt with it; its error stays."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number, message.c.state == MessageState.FAILED.value)
        .values(state=MessageState.DONE.value)
    )


def get(tx: sa.Connection, number: int) -> StoredMessage:
    """One message by its id.

    Raises
    ------
    NotFound
        When there is none.
    """
    found = get_many(tx, [number])
    if not found:
        raise NotFound(f"There is no message {number}", "k.messages.frame() lists them")
    return found[number]


def get_many(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, StoredMessage]:
    """Those of these messages that there are, by id."""
    found: list[StoredMessage] = []
    for chunk in query_in_chunks(numbers):
        query = sa.select(message).where(message.c.id.in_(chunk))
        found += map(stored, tx.execute(query).mappings())
    return {item.id: item for item in with_attachments(tx, found)}


def select(
    tx: sa.Connection, *conditions: sa.ColumnElement[bool], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """These columns of the messages that meet the conditions, in the order they were stored.

    ``attachments`` is a list of mappings, without their bytes.
    """
    asked = [message.c[name] for name in columns if name != "attachments"]
    query = sa.select(message.c.id.label("_id"), *asked).where(*conditions)
    rows = [dict(row) for row in tx.execute(query.order_by(message.c.id)).mappings()]
    parts: dict[int, tuple[StoredAttachment, ...]] = {}
    if "attachments" in columns:
        parts = attachments_of(tx, (row["_id"] for row in rows))
    for row in rows:
        number = row.pop("_id")
        if "attachments" in columns:
            row["attachments"] = [asdict(part) for part in parts.get(number, ())]
    return rows


def latest_known(tx: sa.Connection) -> int:
    """The highest message id there is; 0 in an empty table."""
    return tx.execute(sa.select(sa.func.max(message.c.id))).scalar() or 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail that is to go out, before it is rendered.

    ``cause`` is the message that it answers, ``depth`` how many automatic mails there are from the
    last one that a person wrote, this included.
    """

    number: int
    mailbox: str
    message_id: str
    sender: Address
    to: Sequence[Address]
    record: RecordKey | None = None
    cc: Sequence[Address] = ()
    cause: int | None = None
    state: MessageState = MessageState.QUEUED
    depth: int = 0


def insert_outgoing(tx: sa.Connection, **values: Any) -> None:
    """Enter a mail that is to go out; the values are those of ``Outgoing``."""
    insert_all_outgoing(tx, [Outgoing(**values)])


def insert_all_outgoing(tx: sa.Connection, mails: Sequence[Outgoing]) -> None:
    """Enter mails that are to go out, before they are rendered."""
    if not mails:
        return
    parents = get_many(tx, {mail.cause for mail in mails if mail.cause is not None})
    now = clock.now()
    rows = []
    for mail in mails:
        parent = parents.get(mail.cause) if mail.cause is not None else None
        answers = [parent.message_id] if parent and parent.message_id else []
        rows.append(
            {
                "id": mail.number,
                "direction": Direction.OUT.value,
                "mailbox": mail.mailbox,
                "state": mail.state.value,
                "depth": mail.depth,
                "stored_at": now,
                "message_id": mail.message_id,
                "in_reply_to": answers,
                "reference_ids": [*parent.references, *answers] if parent else [],
                "from_address": mail.sender.address,
                "from_name": mail.sender.name,
                "to_addresses": _people(mail.to),
                "cc_addresses": _people(mail.cc),
                "size": 0,
                "entity": mail.record.entity if mail.record else None,
                "record_key": mail.record.key if mail.record else None,
            }
        )
    tx.execute(sa.insert(message), rows)


def came_back(tx: sa.Connection, message_id: str) -> int | None:
    """The mail that came in with this Message-ID, which is one of ours; None where none did."""
    query = sa.select(message.c.id).where(
        message.c.message_id == message_id, message.c.direction == Direction.IN.value
    )
    return tx.scalar(query.order_by(message.c.id).limit(1))


def answer_to(tx: sa.Connection, record: RecordKey, message_id: str, *, after: int) -> int | None:
    """The first mail of a record that came in and names this Message-ID; None where none does."""
    query = sa.select(message.c.id, message.c.in_reply_to, message.c.reference_ids).where(
        message.c.entity == record.entity,
        message.c.record_key == record.key,
        message.c.direction == Direction.IN.value,
        message.c.id > after,
    )
    for row in tx.execute(query.order_by(message.c.id)):
        if message_id in (row.in_reply_to or ()) or message_id in (row.reference_ids or ()):
            return int(row.id)
    return None


def mailbox_of(tx: sa.Connection, record: RecordKey) -> str | None:
    """The mailbox of the latest mail that belongs to this record."""
    query = (
        sa.select(message.c.mailbox)
        .where(message.c.entity == record.entity, message.c.record_key == record.key)
        .order_by(message.c.id.desc())
        .limit(1)
    )
    return tx.scalar(query)


def save_outgoing(tx: sa.Connection, number: int, **values: Any) -> None:
    """Set these columns of an outgoing mail: its content once rendered, its state later."""
    told = {f"v_{name}": value for name, value in values.items()}
    tx.execute(_outgoing(tuple(values)), {"b_id": number, **told})


@lru_cache(maxsize=64)
def _outgoing(columns: tuple[str, ...]) -> sa.Update:
    """Built once: building it takes as long as running it."""
    this = message.c.id == sa.bindparam("b_id")
    return sa.update(message).where(this).values({n: sa.bindparam(f"v_{n}") for n in columns})
