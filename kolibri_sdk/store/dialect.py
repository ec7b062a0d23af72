"""Where SQLite and PostgreSQL ask for different words, and where IN lists must stay short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kolibri_sdk.model.entity import Entity

__all__ = [
    "database_now",
    "literal",
    "query_in_chunks",
    "quoted",
    "quoted_table",
    "take_turns",
    "take_turns_with_keys",
    "upsert",
]

_CHUNK = 500
_LOCK = 0x6B6F6C69  #: PostgreSQL's advisory lock of those who change the schema: "koli"
_KEYS_LOCK = _LOCK + 1  #: that of those who make, retire or revoke reference keys


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(entity: Entity) -> str:
    """The entity's table as SQL names it."""
    table = quoted(entity.table)
    return f"{quoted(entity.schema_)}.{table}" if entity.schema_ else table


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def query_in_chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut values into lists short enough for one ``IN (…)``."""
    every = list(values)
    return (every[i : i + _CHUNK] for i in range(0, len(every), _CHUNK))


def upsert(tx: sa.Connection, table: sa.Table) -> Any:
    """An INSERT of the database's own dialect, which knows ON CONFLICT."""
    dialect: Any = postgresql if tx.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def database_now(tx: sa.Connection) -> datetime:
    """The time by the database's own clock, on which all its users agree; aware, UTC."""
    if tx.dialect.name == "postgresql":
        moment: datetime = tx.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)
    text = tx.execute(sa.select(sa.func.strftime("%Y-%m-%dT%H:%M:%f+00:00", "now"))).scalar_one()
    return datetime.fromisoformat(text)


def take_turns(tx: sa.Connection) -> None:
    """Keep everybody else who changes the schema waiting until this transaction has ended.

    PostgreSQL lets two transactions find a table missing, and fails the second one that makes it.
    """
    if tx.dialect.name == "postgresql":  # SQLite's writers take turns anyway
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def take_turns_with_keys(tx: sa.Connection) -> None:
    """Keep others who make or retire reference keys waiting until this transaction has ended.

    PostgreSQL would let two each retire the keys that it sees, and so leave two that sign.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_KEYS_LOCK)))
