"""Record changes by any writer: triggers write an event in that writer's transaction (S5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store.schema import event, provenance

__all__ = ["caused_by", "finish", "pending", "watch", "watched"]

_KINDS = ("insert", "update", "delete")


@contextmanager
def caused_by(tx: sa.Connection, cause: str) -> Iterator[None]:
    """Let the triggers note this cause on what the transaction writes inside the block."""
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


def watched(tx: sa.Connection, entity: Entity) -> bool:
    """Whether the triggers are there, made for the columns that the table has now."""
    wanted = _sqlite_triggers(tx, entity) if tx.dialect.name == "sqlite" else None
    if wanted is not None:
        found = sa.text("select name, sql from sqlite_master where type = 'trigger'")
        there = {row.name: row.sql for row in tx.execute(found)}
        return all(there.get(name) == sql for name, sql in wanted.items())
    found = sa.text("select count(*) from pg_trigger where tgname = :name")
    return bool(tx.execute(found, {"name": _name(entity, "any")}).scalar())


def watch(tx: sa.Connection, entity: Entity) -> bool:
    """Install the triggers on the entity's table, or renew them; True when something changed."""
    if watched(tx, entity):
        return False
    if tx.dialect.name == "sqlite":
        for name, sql in _sqlite_triggers(tx, entity).items():
            tx.exec_driver_sql(f'DROP TRIGGER IF EXISTS "{name}"')
            tx.exec_driver_sql(sql)
    else:
        for sql in _postgresql_trigger(entity):
            tx.exec_driver_sql(sql)
    return True


def _name(entity: Entity, kind: str) -> str:
    return f"kolibri_capture_{entity.table}_{kind}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _sqlite_triggers(tx: sa.Connection, entity: Entity) -> dict[str, str]:
    columns = [
        column["name"]
        for column in sa.inspect(tx).get_columns(entity.table)
        # json_object() refuses bytes, and no condition could read them.
        if not isinstance(column["type"], sa.LargeBinary)
    ]
    table, key = _quoted(entity.table), _quoted(entity.key)
    changed = " OR ".join(f"OLD.{_quoted(c)} IS NOT NEW.{_quoted(c)}" for c in columns)
    triggers = {}
    for kind in _KINDS:
        before = "NULL" if kind == "insert" else _json_object("OLD", columns)
        after = "NULL" if kind == "delete" else _json_object("NEW", columns)
        row = "OLD" if kind == "delete" else "NEW"
        condition = f" WHEN {changed}" if kind == "update" else ""
        name = _name(entity, kind)
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
    pairs = ", ".join(f"{_literal(column)}, {row}.{_quoted(column)}" for column in columns)
    return f"json_object({pairs})"


def _postgresql_trigger(entity: Entity) -> list[str]:
    name, table = _quoted(_name(entity, "any")), _quoted(entity.table)
    key = _literal(entity.key)
    return [
        f"""
        CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $capture$
        DECLARE
            old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
            new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
        BEGIN
            IF TG_OP <> 'UPDATE' OR old_row IS DISTINCT FROM new_row THEN
                INSERT INTO kolibri_event
                    (entity, record_key, kind, before, after, at, cause)
                VALUES ({_literal(entity.name)}, coalesce(new_row, old_row) ->> {key},
                    lower(TG_OP), old_row, new_row, clock_timestamp(),
                    nullif(current_setting('kolibri.cause', true), ''));
            END IF;
            RETURN NULL;
        END $capture$
        """,
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
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
    return [
        RecordEvent(
            id=row.id,
            record=RecordKey(entity=row.entity, key=row.record_key),
            kind=row.kind,
            before=_plain(row.before),
            after=_plain(row.after),
            at=row.at,
            cause=row.cause,
        )
        for row in rows
    ]


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
