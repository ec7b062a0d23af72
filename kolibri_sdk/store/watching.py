"""Watching the tables of entities: triggers put up, renewed when a table changed, taken away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.store import postgresql_triggers, sqlite_triggers, watches
from kolibri_sdk.store.dialect import quoted, quoted_table, take_turns
from kolibri_sdk.store.entity_tables import Columns, columns_of

__all__ = ["fingerprint", "plan", "renew", "state", "unwatch", "watch", "watched"]

_SEEN_AGAIN = timedelta(minutes=5)
_LOCK_WAIT = "5s"  #: a pass must not stand in a queue for a table, with all its writers behind it

_LOST = {
    "none": "had no triggers any more (it was made anew, as pandas' to_sql(if_exists='replace') "
    "does, or somebody dropped them)",
    "some": "had lost some of its triggers",
    "disabled": "had its triggers disabled",
}


def state(tx: sa.Connection, entity: Entity, columns: Columns | None = None) -> str:
    """How the triggers are: ``good``; else ``none``, ``some``, ``old`` or ``disabled`` ones.

    Old ones were made for another entity, another key or other columns.
    """
    columns = columns or columns_of(tx, entity)
    if tx.dialect.name == "postgresql":
        return postgresql_triggers.installed(tx, entity, columns.left_out)
    return sqlite_triggers.installed(tx, entity, columns.held)


def watched(tx: sa.Connection, entity: Entity) -> bool:
    """Whether the triggers are there, made for this entity and the columns that the table has."""
    return state(tx, entity) == "good"


def watch(tx: sa.Connection, entity: Entity, by: str = "") -> bool:
    """Put the triggers on the entity's table, or renew them; True when something changed.

    Raises
    ------
    ConfigurationError
        When our role may not.
    """
    columns = columns_of(tx, entity)
    known = watches.find(tx, entity.name)
    good = state(tx, entity, columns) == "good"
    if not good:
        _install(tx, entity, columns)
    if not good or known is None or not known.watched:
        began = {} if known is not None and known.watched else {"since": clock.now(), "by": by}
        _note(tx, entity, columns, **began)
    return not good or (known is not None and not known.watched)


def renew(tx: sa.Connection, entity: Entity, seen: datetime | None = None) -> list[str]:
    """As a pass does it: unless somebody has said no, and telling what may have been missed.

    Parameters
    ----------
    seen : datetime, optional
        When the caller has last seen the triggers in order.

    Returns
    -------
    list of str
        What somebody has to know: that changes were not captured, and since when.
    """
    known = watches.find(tx, entity.name)
    if known is not None and not known.watched:
        return []
    columns = columns_of(tx, entity)
    found = state(tx, entity, columns)
    if found == "good":
        if known is None or known.columns != columns.types:
            _note(tx, entity, columns)
        elif clock.now() - known.seen_at > _SEEN_AGAIN:
            watches.save(tx, entity.name, seen_at=clock.now())
        return []
    _install(tx, entity, columns)
    _note(tx, entity, columns)
    if known is None:
        return []
    last = max(known.seen_at, seen) if seen is not None else known.seen_at
    return _missed(entity, found, known.columns.keys(), columns, last)


def _missed(
    entity: Entity, found: str, before: Collection[str], columns: Columns, last: datetime
) -> list[str]:
    since = f"since {last:%Y-%m-%d %H:%M:%S}Z"
    if found in _LOST:
        return [
            f"Entity {entity.name}: the table {entity.table_name} {_LOST[found]}; they are there "
            f"again. Changes {since} were not captured: no rule has seen them; look at "
            f"k.records[{entity.name!r}].frame()"
        ]
    old, new = set(before), set(columns.types)
    told = [f"has no {name!r} any more" for name in sorted(old - new)]
    told += [f"has the new column {name!r}" for name in sorted(new - old)]
    if not told:
        return []
    return [
        f"Entity {entity.name}: the table {entity.table_name} {' and '.join(told)}; its triggers "
        f"are renewed. Changes of new columns {since} were captured with the next one only"
    ]


def unwatch(tx: sa.Connection, entity: Entity, by: str = "") -> bool:
    """Take the triggers away, and let no pass put them up again; True when there were any.

    Raises
    ------
    ConfigurationError
        When our role may not.
    """
    there = state(tx, entity) != "none"
    if there:
        take_turns(tx)
        _run(tx, entity, _removal(tx, entity))
    watches.save(
        tx,
        entity.name,
        table_name=entity.table_name,
        watched=False,
        since=clock.now(),
        by=by,
        columns=dict(columns_of(tx, entity).types),
    )
    return there


def plan(tx: sa.Connection, entity: Entity, *, remove: bool = False) -> list[str]:
    """The statements that ``watch`` or ``unwatch`` would run now; none where all is well."""
    columns = columns_of(tx, entity)
    found = state(tx, entity, columns)
    if remove:
        return [] if found == "none" else _removal(tx, entity)
    return [] if found == "good" else _installation(tx, entity, columns)


def fingerprint(tx: sa.Connection) -> str:
    """Changes whenever a table or a trigger may have changed; asked for in every pass."""
    if tx.dialect.name == "postgresql":
        return str(tx.execute(_FINGERPRINT).scalar())
    return str(tx.exec_driver_sql("PRAGMA schema_version").scalar())


#: Of each watched table: its triggers, its columns, how many partitions it has.
_FINGERPRINT = sa.text(
    "select md5(string_agg(concat_ws(' ', t.tgrelid, t.tgname, t.tgargs, t.tgenabled,"
    " (select string_agg(attname || atttypid || attisdropped, ',' order by attnum)"
    " from pg_attribute where attrelid = t.tgrelid and attnum > 0),"
    " (select count(*) from pg_inherits where inhparent = t.tgrelid)), ';' order by t.oid))"
    " from pg_trigger t where t.tgname in ('kolibri_capture', 'kolibri_capture_truncate')"
)


def _note(tx: sa.Connection, entity: Entity, columns: Columns, **more: object) -> None:
    watches.save(
        tx,
        entity.name,
        table_name=entity.table_name,
        watched=True,
        seen_at=clock.now(),
        columns=dict(columns.types),
        **more,
    )


def _install(tx: sa.Connection, entity: Entity, columns: Columns) -> None:
    take_turns(tx)
    _run(tx, entity, _installation(tx, entity, columns))


def _installation(tx: sa.Connection, entity: Entity, columns: Columns) -> list[str]:
    if tx.dialect.name == "postgresql":
        return postgresql_triggers.triggers(tx, entity, columns.left_out)
    return [*_removal(tx, entity), *sqlite_triggers.triggers(tx, entity, columns.held).values()]


def _removal(tx: sa.Connection, entity: Entity) -> list[str]:
    if tx.dialect.name == "postgresql":
        return postgresql_triggers.removal(tx, entity)
    names = sqlite_triggers.triggers_of_table(tx, entity)
    return [f"DROP TRIGGER {quoted(name)}" for name in names]


def _run(tx: sa.Connection, entity: Entity, statements: Sequence[str]) -> None:
    try:
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        for statement in statements:
            tx.exec_driver_sql(statement.replace("%", "%%") if _is_format(tx) else statement)
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
    except sa.exc.ProgrammingError as error:
        if "permission denied" not in str(error.orig) and "must be owner" not in str(error.orig):
            raise
        ours = tx.engine.url.username or "our role"
        table = quoted_table(entity)
        raise ConfigurationError(
            f"{entity.file or entity.name}: the database does not let {ours} change the triggers "
            f"of {entity.table_name} ({str(error.orig).strip()})",
            f"Let its owner run: GRANT SELECT, INSERT, UPDATE, TRIGGER ON {table} TO {ours}",
        ) from error


def _is_format(tx: sa.Connection) -> bool:
    """Whether the driver takes ``%`` for a placeholder even where nothing is to be filled in."""
    return tx.dialect.paramstyle in ("pyformat", "format")
