"""Events: what the triggers noted of changes, in their writers' transactions (S5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.postgresql_triggers import function as postgresql_function
from kolibri_sdk.store.schema import event, provenance

__all__ = [
    "caused_by",
    "event_of",
    "finish",
    "finish_many",
    "latest",
    "of_numbers",
    "pending",
    "postgresql_function",
    "silence",
]


@contextmanager
def caused_by(tx: sa.Connection, why: Provenance) -> Iterator[None]:
    """Let the triggers note this on what the transaction writes inside the block."""
    cause = str(why)
    if tx.dialect.name == "postgresql":
        say = sa.select(sa.func.set_config("kolibri.cause", sa.bindparam("cause"), True))
        tx.execute(say, {"cause": cause})
        yield
        tx.execute(say, {"cause": ""})
        return
    # SQLite has one writer at a time, so nobody else ever sees this row.
    tx.execute(sa.delete(provenance))
    tx.execute(sa.insert(provenance).values(id=1, cause=cause))
    yield
    tx.execute(sa.delete(provenance))


def latest(tx: sa.Connection) -> int:
    """The number of the newest event; 0 where there is none."""
    return tx.execute(sa.select(sa.func.max(event.c.id))).scalar() or 0


def silence(tx: sa.Connection, why: Provenance, after: int) -> None:
    """Let no outgoing rule answer what was written for this reason, behind this event."""
    mine = sa.and_(event.c.id > after, event.c.state == "new", event.c.cause == str(why))
    tx.execute(sa.update(event).where(mine).values(state="done"))


def pending(
    tx: sa.Connection, limit: int, *, max_attempts: int, after: int = 0
) -> list[RecordEvent]:
    """Events that no outgoing rule has seen, and failed ones with a try left; oldest first."""
    waiting = sa.or_(
        event.c.state == "new",
        sa.and_(event.c.state == "failed", event.c.attempts < max_attempts),
    )
    rows = tx.execute(
        sa.select(event).where(waiting, event.c.id > after).order_by(event.c.id).limit(limit)
    )
    return [event_of(row) for row in rows]


def event_of(row: Any) -> RecordEvent:
    """A row of the events as a value, its fields as the trigger wrote them."""
    return RecordEvent(
        id=row.id,
        record=RecordKey(entity=row.entity, key=row.record_key),
        kind=row.kind,
        before=_plain(row.before),
        after=_plain(row.after),
        at=row.at,
        cause=row.cause,
        state=row.state,
        error=row.error,
    )


def _plain(value: Any) -> dict[str, Any] | None:
    found = json.loads(value) if isinstance(value, str) else value
    return None if found is None else dict(found)


def finish(tx: sa.Connection, number: int, *, error: str = "") -> bool:
    """Mark an event as done, or as failed with the reason; False when somebody else did before."""
    values: dict[str, Any] = {"state": "failed" if error else "done", "error": error}
    if error:
        values["attempts"] = event.c.attempts + 1
    moved = tx.execute(
        sa.update(event).where(event.c.id == number, event.c.state != "done").values(**values)
    )
    return moved.rowcount == 1


def finish_many(tx: sa.Connection, faults: Mapping[int, str]) -> set[int]:
    """Mark events as done; those that nobody else had done before.

    Parameters
    ----------
    faults : mapping of int to str
        By the number of each event, what went wrong in it that no second try would mend; else "".
    """
    mine: set[int] = set()
    for chunk in query_in_chunks(faults):
        update = sa.update(event).where(event.c.id.in_(chunk), event.c.state != "done")
        mine |= set(tx.scalars(update.values(state="done", error="").returning(event.c.id)))
    told = [{"number": number, "why": faults[number]} for number in mine if faults[number]]
    if told:
        update = sa.update(event).where(event.c.id == sa.bindparam("number"))
        tx.execute(update.values(error=sa.bindparam("why")), told)
    return mine


def of_numbers(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, RecordEvent]:
    """Events by their numbers."""
    found: dict[int, RecordEvent] = {}
    for chunk in query_in_chunks(dict.fromkeys(numbers)):
        rows = tx.execute(sa.select(event).where(event.c.id.in_(chunk)))
        found.update((row.id, event_of(row)) for row in rows)
    return found
