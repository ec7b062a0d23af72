"""Records of entities: their tables are reflected where they exist, else made (S3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.errors import ActionError, ConfigurationError, NotFound
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store.column_types import BigId, Json, UtcDateTime
from kolibri_sdk.store.column_values import adapt_types, as_plain, fitting, from_trigger
from kolibri_sdk.store.dialect import query_in_chunks, take_turns

__all__ = ["Tables"]

_TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: sa.Text,
    FieldType.INTEGER: sa.BigInteger,
    FieldType.NUMBER: sa.Float,
    FieldType.BOOLEAN: sa.Boolean,
    FieldType.DATETIME: UtcDateTime,
    FieldType.USER: sa.Text,
    FieldType.JSON: Json,
}
_INTEGER_BITS = 63  #: what SQLite and PostgreSQL hold beside the sign


class Tables:
    """The tables of the entities, reflected once each.

    Parameters
    ----------
    entities : mapping of str to Entity
        By name, as in ``rules/entities``.
    """

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self.entities = dict(entities)
        self._tables: dict[str, sa.Table] = {}

    def entity(self, name: str) -> Entity:
        """The entity of this name, or NotFound with near names."""
        try:
            return self.entities[name]
        except KeyError:
            raise NotFound.named("entity", name, list(self.entities)) from None

    def ensure(self, tx: sa.Connection, name: str) -> sa.Table:
        """The entity's table; made when the database has none of that name.

        Raises
        ------
        ConfigurationError
            When the table that is there lacks a column which the entity names.
        """
        found = self.there(tx, name)
        if found is None:
            take_turns(tx)
            _described(self.entity(name)).create(tx, checkfirst=True)
            found = self.there(tx, name)
        assert found is not None
        return found

    def there(self, tx: sa.Connection, name: str) -> sa.Table | None:
        """The entity's table where the database has one; nothing is written.

        Raises
        ------
        ConfigurationError
            As with ``ensure``.
        """
        entity = self.entity(name)
        if name in self._tables:
            return self._tables[name]
        if not sa.inspect(tx).has_table(entity.table):
            return None
        table = sa.Table(entity.table, sa.MetaData(), autoload_with=tx, resolve_fks=False)
        adapt_types(tx, entity, table)
        _require_columns(entity, table)
        self._tables[name] = table
        return table

    def use(self, entities: Mapping[str, Entity]) -> None:
        """Take other entities from now on; tables are reflected anew where one has changed."""
        if dict(entities) != self.entities:
            self.entities = dict(entities)
            self.forget()

    def forget(self) -> None:
        """Reflect anew: the transaction that made a table was rolled back."""
        self._tables.clear()

    def insert(
        self, tx: sa.Connection, name: str, values: Mapping[str, Any]
    ) -> tuple[RecordKey, dict[str, Any]]:
        """Make a record; its key, and the record as it is now in the database."""
        entity, table = self.entity(name), self.ensure(tx, name)
        row = {field: fitting(entity, table, field, value) for field, value in values.items()}
        if entity.number and entity.number not in row and entity.key not in row:
            key = _next_key(tx, table, entity.key)
            if key is not None:
                row |= {entity.key: key, entity.number: entity.numbered(key)}
        with _fault_of_values(entity):
            result = tx.execute(sa.insert(table).values(row))
        primary = result.inserted_primary_key
        value = row.get(entity.key, primary[0] if primary else None)
        key_text = RecordKey(entity=name, key=str(value))
        return key_text, self.get(tx, key_text)

    def update(
        self, tx: sa.Connection, record: RecordKey, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change a record; the record as it is now.

        Raises
        ------
        NotFound
            When there is no such record.
        """
        entity, table = self.entity(record.entity), self.ensure(tx, record.entity)
        row = {field: fitting(entity, table, field, value) for field, value in values.items()}
        with _fault_of_values(entity):
            changed = tx.execute(sa.update(table).where(_is(table, entity, record)).values(row))
        if changed.rowcount == 0:
            raise NotFound(f"There is no record {record}", "It may have been deleted meanwhile")
        return self.get(tx, record)

    def get(self, tx: sa.Connection, record: RecordKey) -> dict[str, Any]:
        """The record's fields as plain values, by name.

        Raises
        ------
        NotFound
            When there is no such record.
        """
        entity, table = self.entity(record.entity), self.ensure(tx, record.entity)
        query = sa.select(table).where(_is(table, entity, record)).limit(2)
        rows = tx.execute(query).mappings().all()
        if not rows:
            raise NotFound(f"There is no record {record}", "It may have been deleted")
        if len(rows) > 1:
            raise ActionError(
                f"There are several rows of {entity.table} for the record {record}",
                f"Let key in {entity.file or 'the entity'} name a column whose values are unique",
            )
        return {name: as_plain(value) for name, value in rows[0].items()}

    def find(self, tx: sa.Connection, record: RecordKey) -> dict[str, Any] | None:
        """The record's fields; None when there is no such record, or no usable table of it."""
        try:
            return self.get(tx, record)
        except (NotFound, ConfigurationError):
            return None

    def plain(self, tx: sa.Connection, name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A row as a trigger wrote it, in the form that ``get`` gives it.

        SQLite's triggers know booleans as 0 and 1 and times as text without a zone.
        """
        try:
            table = self.there(tx, name)
        except ConfigurationError:  # it has changed since; the event tells what it was
            table = None
        if table is None:
            return dict(raw)
        return {field: from_trigger(table, field, value) for field, value in raw.items()}

    def plain_event(self, tx: sa.Connection, event: RecordEvent) -> RecordEvent:
        """An event of a trigger, its fields in the form that records have everywhere else."""
        name = event.record.entity
        if name not in self.entities:
            return event
        before, after = (
            None if row is None else self.plain(tx, name, row)
            for row in (event.before, event.after)
        )
        return replace(event, before=before, after=after)

    def select(self, tx: sa.Connection, name: str) -> list[dict[str, Any]]:
        """All records of an entity, by key."""
        entity, table = self.entity(name), self.ensure(tx, name)
        query = sa.select(table).order_by(table.c[entity.key])
        return [dict(row) for row in tx.execute(query).mappings()]

    def of_numbers(
        self, tx: sa.Connection, name: str, numbers: Iterable[str]
    ) -> dict[str, list[RecordKey]]:
        """The records that people call by these numbers; none where the table cannot be used."""
        entity = self.entity(name)
        if entity.number is None:
            return {}
        try:
            table = self.ensure(tx, name)
        except ConfigurationError:
            return {}
        column = table.c[entity.number]
        text = column if isinstance(column.type, sa.String) else sa.cast(column, sa.Text)
        found: dict[str, list[RecordKey]] = {}
        for chunk in query_in_chunks(numbers):
            for number, key in tx.execute(
                sa.select(text, table.c[entity.key]).where(text.in_(chunk))
            ):
                found.setdefault(str(number), []).append(RecordKey(entity=name, key=str(key)))
        return found


def _described(entity: Entity) -> sa.Table:
    columns = [sa.Column(entity.key, BigId, primary_key=True)]
    columns += [
        sa.Column(name, _TYPES[kind], unique=True if name == entity.number else None)
        for name, kind in entity.fields.items()
        if name != entity.key
    ]
    return sa.Table(entity.table, sa.MetaData(), *columns)


@contextmanager
def _fault_of_values(entity: Entity) -> Iterator[None]:
    """Tell a value that the database or its driver does not take as a fault of the rule.

    Raises
    ------
    ActionError
        For these; a database that is locked, full or gone stays what it is.
    """
    try:
        yield
    except sa.exc.OperationalError:
        raise
    except (sa.exc.StatementError, OverflowError) as error:
        raise ActionError(
            f"The record of {entity.name} was refused by the database "
            f"({getattr(error, 'orig', error)})",
            f"Compare the values with the columns of the table {entity.table}",
        ) from error


def _require_columns(entity: Entity, table: sa.Table) -> None:
    named = [entity.key, *entity.fields, *filter(None, [entity.merged_into])]
    missing = [name for name in dict.fromkeys(named) if name not in table.c]
    if missing:
        raise ConfigurationError(
            f"{entity.file or entity.name}: the table {entity.table} has no column "
            + ", ".join(repr(name) for name in missing),
            "Add it to the table, or take it out of the entity",
        )


def _is(table: sa.Table, entity: Entity, record: RecordKey) -> sa.ColumnElement[bool]:
    column = table.c[entity.key]
    try:
        value = column.type.python_type(record.key)
    except (NotImplementedError, TypeError, ValueError, ArithmeticError):
        return sa.cast(column, sa.Text) == record.key
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return sa.false()
    same: sa.ColumnElement[bool] = column == value
    return same


def _next_key(tx: sa.Connection, table: sa.Table, key: str) -> int | None:
    """The key of the next record where the database counts them itself, else None."""
    column = table.c[key]
    if not isinstance(column.type, sa.Integer) or not column.primary_key:
        return None
    if tx.dialect.name == "sqlite":
        # The transaction holds the write lock: nobody else can take it meanwhile.
        return int(tx.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()) + 1
    name = tx.execute(
        sa.select(
            sa.func.pg_get_serial_sequence(tx.dialect.identifier_preparer.quote(table.name), key)
        )
    ).scalar_one_or_none()
    if name is None:
        return None
    return int(tx.execute(sa.text("select nextval(:name)"), {"name": name}).scalar_one())
