"""The triggers that capture changes on SQLite: their text, for one entity and its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity
from kolibri_sdk.store.dialect import literal, quoted

__all__ = ["PREFIX", "installed", "triggers", "triggers_of_table"]

PREFIX = "kolibri_capture_"
_EVENT = "kolibri_event (entity, record_key, kind, before, after, at, cause)"
_NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
_CAUSE = "(SELECT cause FROM kolibri_provenance)"


def triggers_of_table(tx: sa.Connection, entity: Entity) -> dict[str, str]:
    """The triggers of ours that are on the entity's table, by name."""
    query = sa.text(
        "select name, sql from sqlite_master where type = 'trigger'"
        " and lower(tbl_name) = lower(:table) and name like 'kolibri\\_capture\\_%' escape '\\'"
    )
    return {row.name: row.sql for row in tx.execute(query, {"table": entity.table})}


def installed(tx: sa.Connection, entity: Entity, columns: Sequence[str]) -> str:
    """``good``, or how it is otherwise: ``none``, ``some`` or ``old`` ones are there."""
    there, wanted = triggers_of_table(tx, entity), triggers(tx, entity, columns)
    if there == wanted:
        return "good"
    if not there:
        return "none"
    return "old" if wanted.keys() <= there.keys() else "some"


def triggers(tx: sa.Connection, entity: Entity, columns: Sequence[str]) -> dict[str, str]:
    """The statements that make the triggers, by name.

    An INSERT OR REPLACE and an UPDATE OR REPLACE delete rows without a word: no trigger on DELETE
    hears of it. So whatever a new row clashes with is put aside before, and what is gone after it
    was replaced (the row with the same key) or deleted (another one).
    """
    return {
        f"{PREFIX}{entity.table}_{kind}": statement
        for kind, statement in _statements(tx, entity, columns)
    }


def _statements(
    tx: sa.Connection, entity: Entity, columns: Sequence[str]
) -> Iterator[tuple[str, str]]:
    table, name = quoted(entity.table), literal(entity.name)
    old, new = (_json_object(row, columns) for row in ("OLD", "NEW"))
    old_key, new_key = (_key(entity, row) for row in ("OLD", "NEW"))
    unique = _unique_columns(tx, entity)

    def trigger(kind: str, when: str, *body: str) -> tuple[str, str]:
        named = quoted(f"{PREFIX}{entity.table}_{kind}")
        return kind, f"CREATE TRIGGER {named} {when} BEGIN {'; '.join(body)}; END"

    def note(key: str, kind: str, before: str, after: str) -> str:
        values = f"{name}, {key}, '{kind}', {before}, {after}, {_NOW}, {_CAUSE}"
        return f"INSERT INTO {_EVENT} SELECT {values}"

    clear = f"DELETE FROM kolibri_replaced WHERE entity = {name}"
    aside = f"FROM kolibri_replaced AS r WHERE r.entity = {name}"
    put_aside = (
        "INSERT OR REPLACE INTO kolibri_replaced (entity, record_key, before)"
        f" SELECT {name}, {_key(entity, 't')}, {_json_object('t', columns)}"
        f" FROM {table} AS t"
    )
    clash = " OR ".join(
        "(" + " AND ".join(f"t.{quoted(c)} = NEW.{quoted(c)}" for c in group) + ")"
        for group in unique
    )
    itself = " AND ".join(f"t.{quoted(c)} IS OLD.{quoted(c)}" for c in entity.key_columns)
    gone = f"NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {_has_key(entity, 'r.record_key')})"
    of_unique = ", ".join(map(quoted, dict.fromkeys(c for group in unique for c in group)))

    yield trigger("clash", f"BEFORE INSERT ON {table}", clear, f"{put_aside} WHERE {clash}")
    yield trigger(
        "insert",
        f"AFTER INSERT ON {table}",
        note(new_key, "insert", "NULL", new)
        + f" WHERE NOT EXISTS (SELECT 1 {aside} AND r.record_key = {new_key})",
        note(new_key, "update", "r.before", new)
        + f" {aside} AND r.record_key = {new_key} AND r.before <> {new}",
        note("r.record_key", "delete", "r.before", "NULL")
        + f" {aside} AND r.record_key <> {new_key} AND {gone}",
        clear,
    )
    yield trigger(
        "displace",
        f"BEFORE UPDATE OF {of_unique} ON {table}",
        clear,
        f"{put_aside} WHERE ({clash}) AND NOT ({itself})",
    )
    changed = " OR ".join(f"OLD.{quoted(c)} IS NOT NEW.{quoted(c)}" for c in columns)
    yield trigger(
        "update", f"AFTER UPDATE ON {table} WHEN {changed}", note(new_key, "update", old, new)
    )
    yield trigger(
        "displaced",
        f"AFTER UPDATE OF {of_unique} ON {table} WHEN EXISTS (SELECT 1 {aside})",
        note("r.record_key", "delete", "r.before", "NULL")
        + f" {aside} AND (r.record_key = {new_key} OR {gone})",
        clear,
    )
    yield trigger(
        "delete",
        f"AFTER DELETE ON {table}",
        note(old_key, "delete", old, "NULL"),
        # With recursive_triggers, REPLACE lets this one hear of the row: then it is told already.
        f"{clear} AND record_key = {old_key}",
    )


def _has_key(entity: Entity, text: str) -> str:
    """Whether the row t has this key; a single column is compared as it is, by its index."""
    if len(entity.key_columns) == 1:
        return f"t.{quoted(entity.key_columns[0])} = {text}"
    return f"{_key(entity, 't')} = {text}"


def _key(entity: Entity, row: str) -> str:
    columns = [f"{row}.{quoted(column)}" for column in entity.key_columns]
    if len(columns) == 1:
        return f"CAST({columns[0]} AS TEXT)"
    parts = (f"replace(replace(CAST({c} AS TEXT), '%', '%25'), '/', '%2F')" for c in columns)
    return "(" + " || '/' || ".join(parts) + ")"


def _json_object(row: str, columns: Sequence[str]) -> str:
    # json_object() takes 127 arguments, fewer than a table may have columns; and JSON refuses
    # bytes, which SQLite lets anybody put into a column of text.
    pairs = ", ".join(
        f"({literal(column)}, iif(typeof({row}.{quoted(column)}) = 'blob', NULL,"
        f" {row}.{quoted(column)}))"
        for column in columns
    )
    return f"(SELECT json_group_object(column1, column2) FROM (VALUES {pairs}))"


def _unique_columns(tx: sa.Connection, entity: Entity) -> list[tuple[str, ...]]:
    """The groups of columns whose values two rows cannot share; the key among them."""
    groups = [entity.key_columns]
    table = sa.inspect(tx).get_pk_constraint(entity.table)
    groups.append(tuple(table["constrained_columns"]))
    indexes = tx.execute(
        sa.text('select name from pragma_index_list(:table) where "unique" order by seq'),
        {"table": entity.table},
    ).scalars()
    for index in list(indexes):
        names = tx.execute(
            sa.text("select name from pragma_index_info(:index) order by seqno"), {"index": index}
        ).scalars()
        groups.append(tuple(names))
    # An index over an expression has no name for it.
    return list(dict.fromkeys(group for group in groups if group and None not in group))
