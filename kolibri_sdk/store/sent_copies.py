"""Copies of sent mail that go into the Sent folder of the mailbox: wanted, put there, or failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import upsert
from kolibri_sdk.store.schema import outbox, sent_copy

__all__ = ["WantedCopy", "claim", "get", "put_off", "settle", "want"]


@dataclass(frozen=True, slots=True)
class WantedCopy:
    """A mail of which a copy is to lie in the Sent folder."""

    outbox: int
    message_id: str
    blob: str
    sent_at: datetime
    attempts: int  #: this one included


def want(tx: sa.Connection, number: int, mailbox: str) -> None:
    """Note that this mail, which was sent just now, is to be copied; once."""
    row = {"outbox": number, "mailbox": mailbox, "state": "due", "due_at": clock.now()}
    tx.execute(upsert(tx, sent_copy).values(**row).on_conflict_do_nothing())


def claim(tx: sa.Connection, mailbox: str, limit: int, lifetime: timedelta) -> list[WantedCopy]:
    """Take the copies of a mailbox that are due; who takes them has this long, then others may."""
    now = clock.now()
    due = (
        sa.select(sent_copy.c.outbox)
        .where(
            sent_copy.c.mailbox == mailbox, sent_copy.c.state == "due", sent_copy.c.due_at <= now
        )
        .order_by(sent_copy.c.outbox)
        .limit(limit)
    )
    taken = (
        sa.update(sent_copy)
        .where(
            sent_copy.c.outbox.in_(due.scalar_subquery()),
            sent_copy.c.state == "due",
            sent_copy.c.due_at <= now,
        )
        .values(due_at=now + lifetime, attempts=sent_copy.c.attempts + 1)
        .returning(sent_copy.c.outbox, sent_copy.c.attempts)
    )
    tries = {row.outbox: row.attempts for row in tx.execute(taken)}
    if not tries:
        return []
    query = sa.select(
        outbox.c.id, outbox.c.message_id, outbox.c.blob, outbox.c.sent_at, outbox.c.created_at
    ).where(outbox.c.id.in_(tries))
    return [
        WantedCopy(row.id, row.message_id, row.blob, row.sent_at or row.created_at, tries[row.id])
        for row in tx.execute(query.order_by(outbox.c.id))
    ]


def settle(tx: sa.Connection, number: int, state: str, error: str = "") -> None:
    """Write down that the copy lies there (``filed``), or that it was given up (``failed``)."""
    values = {"state": state, "error": error}
    tx.execute(sa.update(sent_copy).where(sent_copy.c.outbox == number).values(**values))


def put_off(tx: sa.Connection, number: int, due_at: datetime, error: str) -> None:
    """Try a copy again then."""
    values = {"due_at": due_at, "error": error}
    tx.execute(sa.update(sent_copy).where(sent_copy.c.outbox == number).values(**values))


def get(tx: sa.Connection, number: int) -> dict[str, Any] | None:
    """What became of the copy of this mail; None where none is wanted."""
    query = sa.select(sent_copy).where(sent_copy.c.outbox == number)
    row = tx.execute(query).mappings().first()
    return dict(row) if row is not None else None
