"""Record changes by any writer: triggers write an event in that writer's transaction (S5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store.dialect import query_in_chunks, take_turns
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
    "watch",
    "watched",
]

_KINDS = ("insert", "update", "delete")


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


def watched(tx: sa.Connection, entity: Entity) -> bool:
    """Whether the triggers are there, made for this entity and the columns that the table has."""
    if tx.dialect.name == "postgresql":
        found = tx.execute(_POSTGRESQL_ARGUMENTS, {"table": _quoted(entity.table)}).scalar()
        wanted = "".join(f"{word}\0" for word in _arguments(tx, entity))
        return found is not None and bytes(found).decode() == wanted
    query = sa.text("select name, sql from sqlite_master where type = 'trigger'")
    there = {row.name: row.sql for row in tx.execute(query)}
    return all(there.get(name) == sql for name, sql in _sqlite_triggers(tx, entity).items())


def watch(tx: sa.Connection, entity: Entity) -> bool:
    """Install the triggers on the entity's table, or renew them; True when something changed."""
    if watched(tx, entity):
        return False
    take_turns(tx)
    if tx.dialect.name == "postgresql":
        for sql in _postgresql_trigger(tx, entity):
            tx.exec_driver_sql(sql.replace("%", "%%"))
    else:
        for name, sql in _sqlite_triggers(tx, entity).items():
            tx.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_quoted(name)}")
            tx.exec_driver_sql(sql)
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _columns(tx: sa.Connection, entity: Entity) -> tuple[list[str], list[str]]:
    """The columns of the table: those that an event holds, and those of bytes, left out."""
    held: list[str] = []
    left_out: list[str] = []
    for column in sa.inspect(tx).get_columns(entity.table):
        # No condition could read bytes, and they may be large.
        is_bytes = isinstance(column["type"], sa.LargeBinary)
        (left_out if is_bytes else held).append(column["name"])
    return held, left_out


def _sqlite_triggers(tx: sa.Connection, entity: Entity) -> dict[str, str]:
    columns, _ = _columns(tx, entity)
    table, key = _quoted(entity.table), _quoted(entity.key)
    changed = " OR ".join(f"OLD.{_quoted(c)} IS NOT NEW.{_quoted(c)}" for c in columns)
    triggers = {}
    for kind in _KINDS:
        before = "NULL" if kind == "insert" else _json_object("OLD", columns)
        after = "NULL" if kind == "delete" else _json_object("NEW", columns)
        row = "OLD" if kind == "delete" else "NEW"
        condition = f" WHEN {changed}" if kind == "update" else ""
        name = f"kolibri_capture_{entity.table}_{kind}"
        triggers[name] = (
            f"CREATE TRIGGER {_quoted(name)} AFTER {kind.upper()} ON {table}{condition} BEGIN"
            " INSERT INTO kolibri_event"
            " (entity, record_key, kind, before, after, at, cause)"
            f" VALUES ({_literal(entity.name)}, CAST({row}.{key} AS TEXT), '{kind}',"
            f" {before}, {after}, strftime('%Y-%m-%d %H:%M:%f000', 'now'),"
            " (SELECT cause FROM kolibri_provenance)); END"
        )
    return triggers


def _json_object(row: str, columns: Sequence[str]) -> str:
    # json_object() takes 127 arguments, fewer than a table may have columns; and JSON refuses
    # bytes, which SQLite lets anybody put into a column of text.
    pairs = ", ".join(
        f"({_literal(column)}, iif(typeof({row}.{_quoted(column)}) = 'blob', NULL,"
        f" {row}.{_quoted(column)}))"
        for column in columns
    )
    return f"(SELECT json_group_object(column1, column2) FROM (VALUES {pairs}))"


_POSTGRESQL_ARGUMENTS = sa.text(
    "select tgargs from pg_trigger"
    " where tgname = 'kolibri_capture' and tgrelid = to_regclass(:table)"
)


def postgresql_function(tx: sa.Connection) -> str:
    """The function behind the triggers on PostgreSQL, one for all tables; part of the schema.

    It runs with our rights and our search path, whoever writes: the ticket system's role need
    know nothing of our tables.
    """
    schema = _quoted(tx.execute(sa.select(sa.func.current_schema())).scalar_one())
    return f"""
        CREATE FUNCTION kolibri_capture() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = {schema}, pg_temp AS $capture$
        DECLARE
            entity text := TG_ARGV[0];
            key_column text := TG_ARGV[1];
            left_out text[] := TG_ARGV[2:];
            old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - left_out END;
            new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - left_out END;
        BEGIN
            IF TG_OP <> 'UPDATE' OR old_row IS DISTINCT FROM new_row THEN
                INSERT INTO kolibri_event
                    (entity, record_key, kind, before, after, at, cause)
                VALUES (entity, coalesce(new_row, old_row) ->> key_column,
                    lower(TG_OP), old_row, new_row, clock_timestamp(),
                    nullif(current_setting('kolibri.cause', true), ''));
            END IF;
            RETURN NULL;
        END $capture$
    """


def _arguments(tx: sa.Connection, entity: Entity) -> list[str]:
    _, left_out = _columns(tx, entity)
    return [entity.name, entity.key, *left_out]


def _postgresql_trigger(tx: sa.Connection, entity: Entity) -> list[str]:
    table = _quoted(entity.table)
    arguments = ", ".join(map(_literal, _arguments(tx, entity)))
    return [
        f"DROP TRIGGER IF EXISTS kolibri_capture ON {table}",
        f"CREATE TRIGGER kolibri_capture AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION kolibri_capture({arguments})",
    ]


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
