"""Which entities are watched: what was said of each, and what its table was like then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import upsert
from kolibri_sdk.store.schema import watch

__all__ = ["Watch", "find", "save", "select"]


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of one entity's watching."""

    entity: str
    table: str  #: with its schema
    watched: bool  #: False: somebody has said that it is not to be
    since: datetime  #: when it was watched first, or when somebody said that it is not to be
    by: str  #: who said so; empty where a pass did
    seen_at: datetime  #: when its triggers were last found in order
    columns: Mapping[str, str]  #: name → type, when the triggers were made


def find(tx: sa.Connection, entity: str) -> Watch | None:
    """What is known of this entity; None where it was never watched."""
    row = tx.execute(sa.select(watch).where(watch.c.entity == entity)).one_or_none()
    return None if row is None else _watch(row)


def select(tx: sa.Connection) -> dict[str, Watch]:
    """What is known, by entity."""
    return {row.entity: _watch(row) for row in tx.execute(sa.select(watch))}


def save(tx: sa.Connection, entity: str, **values: Any) -> None:
    """Write down what is known now; what is not given stays."""
    new = {
        "table_name": "",
        "watched": True,
        "since": clock.now(),
        "by": "",
        "seen_at": clock.now(),
        "columns": {},
        **values,
    }
    tx.execute(
        upsert(tx, watch)
        .values(entity=entity, **new)
        .on_conflict_do_update(index_elements=["entity"], set_=values)
    )


def _watch(row: Any) -> Watch:
    return Watch(
        entity=row.entity,
        table=row.table_name,
        watched=row.watched,
        since=row.since,
        by=row.by,
        seen_at=row.seen_at,
        columns=row.columns or {},
    )
