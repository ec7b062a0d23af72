"""The tables of entities as the database has them: their kind, their columns, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.entity import Entity, FieldType
from kolibri_sdk.store.column_types import BigId, Json, UtcDateTime
from kolibri_sdk.store.column_values import adapt_types
from kolibri_sdk.store.dialect import quoted_table

__all__ = ["TYPES", "Columns", "columns_of", "described", "is_there", "reflected"]

#: The types of the columns of tables that are made here.
TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: sa.Text,
    FieldType.INTEGER: sa.BigInteger,
    FieldType.NUMBER: sa.Float,
    FieldType.BOOLEAN: sa.Boolean,
    FieldType.DATETIME: UtcDateTime,
    FieldType.USER: sa.Text,
    FieldType.GROUP: sa.Text,
    FieldType.JSON: Json,
}

_NO_TABLES = {
    "v": ("is a view", "Let `table` name the table beneath it"),
    "m": ("is a materialised view", "Let `table` name the table beneath it"),
    "f": ("is a foreign table, whose changes are made elsewhere", "Watch it in its own database"),
    "virtual": ("is a virtual table, which takes no triggers", "Let `table` name a plain one"),
}


def is_there(tx: sa.Connection, entity: Entity) -> bool:
    """Whether the database has the entity's table.

    Raises
    ------
    ConfigurationError
        When what has the name is none that triggers can watch, such as a view.
    """
    kind = _kind(tx, entity)
    if kind in _NO_TABLES:
        what, next_step = _NO_TABLES[kind]
        raise ConfigurationError(
            f"{entity.file or entity.name}: {entity.table_name} {what}: no trigger on it can note"
            " the changes of records",
            next_step,
        )
    return kind is not None


def _kind(tx: sa.Connection, entity: Entity) -> str | None:
    if tx.dialect.name == "postgresql":
        query = sa.text("select relkind::text from pg_class where oid = to_regclass(:table)")
        found: str | None = tx.execute(query, {"table": quoted_table(entity)}).scalar()
        return found
    if entity.schema_:
        raise ConfigurationError(
            f"{entity.file or entity.name}: SQLite has no schema {entity.schema_!r}",
            "Take `schema` out of the entity",
        )
    query = sa.text(
        "select type, sql from sqlite_master"
        " where lower(name) = lower(:name) and type in ('table', 'view')"
    )
    row = tx.execute(query, {"name": entity.table}).one_or_none()
    if row is None:
        return None
    if row.type == "view":
        return "v"
    return "virtual" if row.sql.lower().startswith("create virtual") else "r"


def described(entity: Entity) -> sa.Table:
    """The table as it is made where the database has none."""
    single = len(entity.key_columns) == 1
    columns = [
        sa.Column(name, BigId, primary_key=True)
        if single
        else sa.Column(name, TYPES[entity.fields.get(name, FieldType.TEXT)], primary_key=True)
        for name in entity.key_columns
    ]
    columns += [
        sa.Column(name, TYPES[kind], unique=True if name == entity.number else None)
        for name, kind in entity.fields.items()
        if name not in entity.key_columns
    ]
    return sa.Table(entity.table, sa.MetaData(schema=entity.schema_), *columns)


def reflected(tx: sa.Connection, entity: Entity) -> sa.Table:
    """The table as it is in the database, its columns meant as the entity says.

    Raises
    ------
    ConfigurationError
        When it lacks a column that the entity names.
    """
    metadata = sa.MetaData(schema=entity.schema_)
    table = sa.Table(entity.table, metadata, autoload_with=tx, resolve_fks=False)
    adapt_types(tx, entity, table)
    named = [*entity.key_columns, *entity.fields, *filter(None, [entity.merged_into])]
    missing = [name for name in dict.fromkeys(named) if name not in table.c]
    if missing:
        raise ConfigurationError(
            f"{entity.file or entity.name}: the table {entity.table_name} has no column "
            + ", ".join(repr(name) for name in missing),
            f"Add it to the table, or take it out of the entity: kolibri entities diff "
            f"{entity.name}",
        )
    return table


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table, as triggers see them."""

    types: Mapping[str, str]  #: name → type in the database's words
    left_out: tuple[str, ...]  #: bytes: no condition could read them, and they may be large

    @property
    def held(self) -> list[str]:
        """Those that an event holds."""
        return [name for name in self.types if name not in self.left_out]


def columns_of(tx: sa.Connection, entity: Entity) -> Columns:
    """The columns that the table has now."""
    found = sa.inspect(tx).get_columns(entity.table, schema=entity.schema_)
    left_out = [one["name"] for one in found if isinstance(one["type"], sa.LargeBinary)]
    return Columns({one["name"]: _told(tx, one["type"]) for one in found}, tuple(left_out))


def _told(tx: sa.Connection, kind: Any) -> str:
    try:
        return str(kind.compile(dialect=tx.dialect))
    except sa.exc.CompileError:
        return str(kind)
