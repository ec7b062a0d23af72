"""Mail that has arrived: entered, claimed by one parser, and filled in with what it found (S19)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.message import Direction, MessageState, ParsedMail
from kolibri_sdk.store import ids
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.message_rows import insert_attachments, parsed_columns
from kolibri_sdk.store.schema import message

__all__ = [
    "Arrival",
    "Claimed",
    "claim_fetched",
    "insert_fetched",
    "release_claims",
    "save_parsed",
    "save_unparsed",
]

_CLAIMED_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail as it came from the server: where its bytes lie, and when it arrived there."""

    blob: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stored mail to be parsed; ``attempts`` counts this one."""

    id: int
    mailbox: str
    blob: str
    attempts: int
    received_at: datetime


def insert_fetched(
    tx: sa.Connection,
    mailbox: str,
    arrivals: Sequence[Arrival],
    state: MessageState = MessageState.FETCHED,
) -> list[int]:
    """Enter mails that nobody has parsed yet; their ids, in order."""
    taken = ids.take(tx, "message", len(arrivals))
    now = clock.now()
    rows = [
        {
            "id": number,
            "direction": Direction.IN.value,
            "mailbox": mailbox,
            "state": state.value,
            "received_at": arrival.received_at,
            "stored_at": now,
            "size": arrival.size,
            "blob": arrival.blob,
        }
        for number, arrival in zip(taken, arrivals, strict=True)
    ]
    if rows:
        tx.execute(sa.insert(message), rows)
    return taken


def claim_fetched(
    tx: sa.Connection, limit: int, mailboxes: Sequence[str], *, tried: bool = False
) -> list[Claimed]:
    """Mails to parse, oldest first, each with one more attempt counted.

    They are so many, or fewer where they are large: together about 16 MB, but always one.

    The count is committed before the parser sees the bytes: a mail that takes the process down
    has ``tried`` on it the next time, and is taken alone then.
    """
    names = ("id", "mailbox", "blob", "attempts", "received_at", "stored_at", "size")
    query = sa.select(*(message.c[name] for name in names)).where(
        message.c.state == MessageState.FETCHED.value,
        message.c.mailbox.in_(mailboxes),
        message.c.attempts > 0 if tried else message.c.attempts == 0,
    )
    found = tx.execute(
        query.order_by(message.c.attempts, message.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    held = accumulate(row.size for row in found)
    rows = [row for row, size in zip(found, held, strict=True) if size - row.size < _CLAIMED_BYTES]
    for chunk in query_in_chunks(row.id for row in rows):
        tx.execute(
            sa.update(message)
            .where(message.c.id.in_(chunk))
            .values(attempts=message.c.attempts + 1)
        )
    return [
        Claimed(row.id, row.mailbox, row.blob, row.attempts + 1, row.received_at or row.stored_at)
        for row in rows
    ]


def release_claims(tx: sa.Connection, numbers: Iterable[int]) -> None:
    """Take the attempts back: it was not the mails that kept the parser from finishing."""
    for chunk in query_in_chunks(numbers):
        this = sa.and_(message.c.id.in_(chunk), message.c.state == MessageState.FETCHED.value)
        tx.execute(sa.update(message).where(this).values(attempts=message.c.attempts - 1))


def save_parsed(
    tx: sa.Connection,
    parsed: Mapping[int, ParsedMail],
    state: MessageState = MessageState.PARSED,
    done: Mapping[int, str] | None = None,
) -> set[int]:
    """Fill in what the parser found, attachments included (S19); the ids of those filled in.

    A mail that another poller has parsed meanwhile is left as it is. One that is incomplete
    becomes ``unparsed``, with its reason. One in ``done`` has been decided on already, by the
    ruleset of this digest, and came to nothing: it is done.
    """
    mine = [(number, parsed[number]) for number in _still_fetched(tx, parsed)]
    if not mine:
        return set()
    rulesets = done or {}
    tx.execute(
        sa.update(message).where(message.c.id == sa.bindparam("b_id")),
        [
            {
                "b_id": number,
                **parsed_columns(mail),
                **_state(mail, MessageState.DONE if number in rulesets else state),
                "ruleset": rulesets.get(number),
            }
            for number, mail in mine
        ],
    )
    insert_attachments(tx, mine)
    return {number for number, _ in mine}


def _still_fetched(tx: sa.Connection, numbers: Iterable[int]) -> list[int]:
    found: list[int] = []
    for chunk in query_in_chunks(numbers):
        query = sa.select(message.c.id).where(
            message.c.id.in_(chunk), message.c.state == MessageState.FETCHED.value
        )
        found.extend(tx.scalars(query.with_for_update()))
    return found


def save_unparsed(tx: sa.Connection, number: int, reason: str) -> None:
    """Keep the mail with its raw bytes, and the reason why it could not be parsed."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number, message.c.state == MessageState.FETCHED.value)
        .values(state=MessageState.UNPARSED.value, error=reason)
    )


def _state(mail: ParsedMail, state: MessageState) -> dict[str, Any]:
    if mail.incomplete:
        return {"state": MessageState.UNPARSED.value, "error": mail.incomplete}
    return {"state": state.value, "error": ""}
