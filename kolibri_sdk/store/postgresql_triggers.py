"""The triggers that capture changes on PostgreSQL, and the functions behind them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity
from kolibri_sdk.store.dialect import literal, quoted, quoted_table

__all__ = ["function", "installed", "later_functions", "removal", "triggers"]

_ROWS, _WHOLE = "kolibri_capture", "kolibri_capture_truncate"

# What is the same in all of them. They run with our rights and our search path, whoever writes:
# the ticket system's role need know nothing of our tables.
_HEAD = """RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET search_path = {schema}, pg_temp AS $capture$"""
_CAUSE = "nullif(current_setting('kolibri.cause', true), '')"


def function(tx: sa.Connection) -> str:
    """The function behind the triggers on rows, one for all tables with a key of one column."""
    return f"""
        CREATE FUNCTION kolibri_capture() {_head(tx)}
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
                    lower(TG_OP), old_row, new_row, clock_timestamp(), {_CAUSE});
            END IF;
            RETURN NULL;
        END $capture$
    """


def later_functions(tx: sa.Connection) -> list[str]:
    """Those for keys of several columns, and for TRUNCATE, which deletes rows without a word."""
    arguments = """
            entity text := TG_ARGV[0];
            last_key int := 1 + TG_ARGV[1]::int;
            key_columns text[] := TG_ARGV[2:last_key];
            left_out text[] := TG_ARGV[last_key + 1:];"""
    key = """
        CREATE FUNCTION kolibri_key(fields jsonb, columns text[]) RETURNS text
        LANGUAGE sql IMMUTABLE AS $key$
            SELECT CASE WHEN cardinality(columns) = 1 THEN fields ->> columns[1] ELSE (
                SELECT string_agg(
                    replace(replace(fields ->> name, '%', '%25'), '/', '%2F'), '/' ORDER BY place)
                FROM unnest(columns) WITH ORDINALITY AS parts (name, place)
            ) END
        $key$
    """
    rows = f"""
        CREATE FUNCTION kolibri_capture_parts() {_head(tx)}
        DECLARE {arguments}
            old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - left_out END;
            new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - left_out END;
        BEGIN
            IF TG_OP <> 'UPDATE' OR old_row IS DISTINCT FROM new_row THEN
                INSERT INTO kolibri_event
                    (entity, record_key, kind, before, after, at, cause)
                VALUES (entity, kolibri_key(coalesce(new_row, old_row), key_columns),
                    lower(TG_OP), old_row, new_row, clock_timestamp(), {_CAUSE});
            END IF;
            RETURN NULL;
        END $capture$
    """
    # t.* is the row, even where a column is called t.
    whole = f"""
        CREATE FUNCTION kolibri_capture_truncate() {_head(tx)}
        DECLARE {arguments}
        BEGIN
            EXECUTE format('INSERT INTO kolibri_event
                    (entity, record_key, kind, before, at, cause)
                SELECT $1, kolibri_key(to_jsonb(t.*), $2), ''delete'', to_jsonb(t.*) - $3,
                    clock_timestamp(), $4
                FROM ONLY %I.%I AS t', TG_TABLE_SCHEMA, TG_TABLE_NAME)
                USING entity, key_columns, left_out, {_CAUSE};
            RETURN NULL;
        END $capture$
    """
    # Whoever may run them could have them note changes of a table of his own as those of ours;
    # a trigger that is there runs all the same.
    revoked = [
        f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"
        for name in ("kolibri_capture", "kolibri_capture_parts", "kolibri_capture_truncate")
    ]
    return [key, rows, whole, *revoked]


def _head(tx: sa.Connection) -> str:
    schema = quoted(tx.execute(sa.select(sa.func.current_schema())).scalar_one())
    return _HEAD.format(schema=schema)


def triggers(tx: sa.Connection, entity: Entity, left_out: Sequence[str]) -> list[str]:
    """The statements that make the triggers, or make them anew."""
    several = [str(len(entity.key_columns)), *entity.key_columns, *left_out]
    rows = _ROWS + "_parts" if len(entity.key_columns) > 1 else _ROWS
    made = [
        f"CREATE OR REPLACE TRIGGER {_ROWS} AFTER INSERT OR UPDATE OR DELETE"
        f" ON {quoted_table(entity)} FOR EACH ROW"
        f" EXECUTE FUNCTION {rows}({_literals(_arguments(entity, left_out))})",
    ]
    made += [
        f"CREATE OR REPLACE TRIGGER {_WHOLE} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        f" EXECUTE FUNCTION {_WHOLE}({_literals([entity.name, *several])})"
        for table in _leaves(tx, entity)
    ]
    enabled = [
        f"ALTER TABLE {quoted_table(entity)} ENABLE TRIGGER {name}"
        for name in _disabled(tx, entity)
    ]
    return made + enabled


def removal(tx: sa.Connection, entity: Entity) -> list[str]:
    """The statements that take the triggers away."""
    return [
        f"DROP TRIGGER IF EXISTS {_ROWS} ON {quoted_table(entity)}",
        *(f"DROP TRIGGER IF EXISTS {_WHOLE} ON {table}" for table in _leaves(tx, entity)),
    ]


def installed(tx: sa.Connection, entity: Entity, left_out: Sequence[str]) -> str:
    """``good``, or how it is otherwise: ``none``, ``some``, ``old`` or ``disabled`` ones."""
    found = tx.execute(_FOUND, {"table": quoted_table(entity)}).all()
    rows = [one for one in found if one.tgname == _ROWS]
    whole = [one for one in found if one.tgname == _WHOLE]
    if not rows:
        return "some" if whole else "none"
    if any(one.tgenabled == "D" for one in found):
        return "disabled"
    several = [str(len(entity.key_columns)), *entity.key_columns, *left_out]
    right = _said(rows[0].tgargs) == _arguments(entity, left_out)
    right &= all(_said(one.tgargs) == [entity.name, *several] for one in whole)
    if not right:
        return "old"
    return "good" if len(whole) == len(_leaves(tx, entity)) else "old"


_FOUND = sa.text(
    "select tgname, tgargs, tgenabled from pg_trigger"
    " where tgname = 'kolibri_capture' and tgrelid = to_regclass(:table)"
    " union all select tgname, tgargs, tgenabled from pg_trigger"
    " join pg_partition_tree(to_regclass(:table)) on tgrelid = relid"
    " where tgname = 'kolibri_capture_truncate'"
    " union all select tgname, tgargs, tgenabled from pg_trigger"
    " where tgname = 'kolibri_capture_truncate' and tgrelid = to_regclass(:table)"
    " and not exists (select 1 from pg_partition_tree(to_regclass(:table)))"
)


def _disabled(tx: sa.Connection, entity: Entity) -> list[str]:
    found = tx.execute(_FOUND, {"table": quoted_table(entity)})
    return [row.tgname for row in found if row.tgenabled == "D"]


def _leaves(tx: sa.Connection, entity: Entity) -> list[str]:
    """The tables that hold the rows: the table itself, or its partitions."""
    query = sa.text(
        "select relid::regclass::text from pg_partition_tree(to_regclass(:table)) where isleaf"
        " order by 1"
    )
    partitions = tx.execute(query, {"table": quoted_table(entity)}).scalars().all()
    return list(partitions) or [quoted_table(entity)]


def _arguments(entity: Entity, left_out: Sequence[str]) -> list[str]:
    keys = entity.key_columns
    number = [str(len(keys))] if len(keys) > 1 else []
    return [entity.name, *number, *keys, *left_out]


def _literals(words: Sequence[str]) -> str:
    return ", ".join(map(literal, words))


def _said(arguments: bytes) -> list[str]:
    return bytes(arguments).decode().split("\0")[:-1]
