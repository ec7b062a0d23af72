"""Records that a mail may belong to: listed until a person accepts or dismisses them (S23)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.store.dialect import upsert
from kolibri_sdk.store.schema import message, suggestion

__all__ = ["add", "count_open", "decide", "of_message", "select"]


def add(tx: sa.Connection, number: int, hits: Sequence[ReferenceHit]) -> None:
    """List these for a message; one that a person has decided on stays as it is."""
    rows = [
        {
            "message": number,
            "entity": hit.record.entity,
            "record_key": hit.record.key,
            "carrier": hit.carrier,
        }
        for hit in hits
    ]
    if rows:
        tx.execute(upsert(tx, suggestion).values(rows).on_conflict_do_nothing())


def of_message(tx: sa.Connection, number: int, state: str | None = None) -> list[RecordKey]:
    """The records suggested for a message, in this state where one is said."""
    query = sa.select(suggestion.c.entity, suggestion.c.record_key).where(
        suggestion.c.message == number
    )
    if state is not None:
        query = query.where(suggestion.c.state == state)
    rows = tx.execute(query.order_by(suggestion.c.entity, suggestion.c.record_key))
    return [RecordKey(entity=row.entity, key=row.record_key) for row in rows]


def decide(
    tx: sa.Connection, number: int, records: Sequence[RecordKey], state: str, by: str
) -> None:
    """Write down what a person decided on these suggestions of a message; new ones are entered."""
    for record in records:
        values = {"state": state, "decided_by": by, "decided_at": clock.now()}
        row = {"message": number, "entity": record.entity, "record_key": record.key}
        statement = upsert(tx, suggestion).values(**row, carrier="person", **values)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["message", "entity", "record_key"], set_=values
            )
        )


def count_open(tx: sa.Connection) -> int:
    """How many wait for a person."""
    query = sa.select(sa.func.count()).where(suggestion.c.state == "open")
    return int(tx.execute(query).scalar_one())


def select(
    tx: sa.Connection, *, state: str | None = None, mailbox: str | None = None
) -> list[dict[str, Any]]:
    """Suggestions with what is to be seen of their mails, oldest first."""
    query = sa.select(
        suggestion,
        message.c.mailbox,
        message.c.received_at,
        message.c.from_address,
        message.c.subject,
        message.c.entity.label("tied_entity"),
        message.c.record_key.label("tied_key"),
    ).join(message, message.c.id == suggestion.c.message)
    if state is not None:
        query = query.where(suggestion.c.state == state)
    if mailbox is not None:
        query = query.where(message.c.mailbox == mailbox)
    order = (suggestion.c.message, suggestion.c.entity, suggestion.c.record_key)
    return [dict(row) for row in tx.execute(query.order_by(*order)).mappings()]
