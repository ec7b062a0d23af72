"""What happened to records, and how they were at a moment: the events of their changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store.capture import event_of
from kolibri_sdk.store.records import Tables
from kolibri_sdk.store.schema import event

__all__ = ["changes", "records_at", "set_by_people"]

_BATCH = 1000


def changes(
    tx: sa.Connection,
    tables: Tables,
    entity: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    record: RecordKey | None = None,
) -> Iterator[RecordEvent]:
    """The changes of an entity's records, oldest first, a thousand of them in memory at a time.

    Their fields are in the form that records have everywhere else, as conditions see them.

    Parameters
    ----------
    tx : Connection
        Need only read.
    since, until : datetime, optional
        When they happened; ``until`` is left out itself.
    record : RecordKey, optional
        Only of this one.
    """
    wanted = [event.c.entity == entity]
    wanted += [event.c.at >= since] if since is not None else []
    wanted += [event.c.at < until] if until is not None else []
    wanted += [event.c.record_key == record.key] if record is not None else []
    last = 0
    while True:
        query = sa.select(event).where(*wanted, event.c.id > last).order_by(event.c.id)
        rows = tx.execute(query.limit(_BATCH)).all()
        for row in rows:
            yield tables.plain_event(tx, event_of(row))
        if len(rows) < _BATCH:
            return
        last = rows[-1].id


def records_at(
    tx: sa.Connection, tables: Tables, wanted: Iterable[tuple[int, RecordKey, datetime | None]]
) -> dict[int, dict[str, Any]]:
    """The fields of records at moments of their own.

    What changed a record before its table was watched has left no event: then it is the record as
    it was when the watching began.

    Parameters
    ----------
    tx : Connection
        Need only read.
    wanted : iterable of (number, record, moment)
        Without a moment, the record as it is now.

    Returns
    -------
    dict
        By number; a record that was not there at the moment is left out.
    """
    of_record: dict[RecordKey, list[tuple[int, datetime | None]]] = {}
    for number, record, moment in wanted:
        of_record.setdefault(record, []).append((number, moment))
    found: dict[int, dict[str, Any]] = {}
    for record, asked in of_record.items():
        present, changes = _present(tx, tables, record), _changes(tx, record)
        for number, moment in asked:
            later = (before for at, before in changes if moment is not None and at > moment)
            then = next(later, present)
            if then is not None:
                found[number] = dict(then)
    return found


def _present(tx: sa.Connection, tables: Tables, record: RecordKey) -> dict[str, Any] | None:
    entity = tables.entities.get(record.entity)
    if entity is None or not sa.inspect(tx).has_table(entity.table):
        return None
    return tables.find(tx, record)


def _changes(tx: sa.Connection, record: RecordKey) -> list[tuple[datetime, dict[str, Any] | None]]:
    """When the record changed, oldest first, and how it was before."""
    query = sa.select(event.c.at, event.c.before).where(
        event.c.entity == record.entity, event.c.record_key == record.key
    )
    return [(row.at, row.before) for row in tx.execute(query.order_by(event.c.id))]


def set_by_people(
    tx: sa.Connection, wanted: Iterable[RecordKey], field: str
) -> dict[RecordKey, Any]:
    """The value that a person, or another program, last gave a field of each record.

    What a rule of ours wrote is no proof that the rule was right, so it does not count; a record
    whose field no other has ever set is left out.
    """
    found: dict[RecordKey, Any] = {}
    for record in dict.fromkeys(wanted):
        query = sa.select(event.c.before, event.c.after).where(
            event.c.entity == record.entity,
            event.c.record_key == record.key,
            sa.or_(event.c.cause.is_(None), event.c.cause.startswith("user:")),
            event.c.after.is_not(None),
        )
        for row in tx.execute(query.order_by(event.c.id)):
            value = row.after.get(field)
            if value is not None and value != (row.before or {}).get(field):
                found[record] = value
    return found
