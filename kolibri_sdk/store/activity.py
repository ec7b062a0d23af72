"""Activity streams: what happened to a record, in order (S13, S23)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.stored import ActivityEntry
from kolibri_sdk.store import ids
from kolibri_sdk.store.schema import activity

__all__ = ["add", "select"]


def add(tx: sa.Connection, entries: Sequence[ActivityEntry]) -> None:
    """Enter these into the streams of their records."""
    if not entries:
        return
    numbers = ids.take(tx, "activity", len(entries))
    tx.execute(
        sa.insert(activity),
        [
            {
                "id": number,
                "entity": entry.record.entity,
                "record_key": entry.record.key,
                "kind": entry.kind,
                "message": entry.message,
                "author": entry.author,
                "at": entry.at,
                "text": entry.text,
                "cause": entry.cause,
            }
            for number, entry in zip(numbers, entries, strict=True)
        ],
    )


def select(tx: sa.Connection, record: RecordKey | None = None) -> list[dict[str, Any]]:
    """A record's stream, or all of them, oldest first."""
    query = sa.select(activity).order_by(activity.c.id)
    if record is not None:
        query = query.where(activity.c.entity == record.entity, activity.c.record_key == record.key)
    return [dict(row) for row in tx.execute(query).mappings()]
