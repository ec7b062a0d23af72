"""Records of entities: their tables are reflected where they exist, else made (S3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.errors import ActionError, ConfigurationError, NotFound
from kolibri_sdk.model.entity import Entity, RecordKey, key_parts, key_text
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store import watches
from kolibri_sdk.store.column_values import as_plain, fitting, from_trigger
from kolibri_sdk.store.dialect import query_in_chunks, quoted_table, take_turns
from kolibri_sdk.store.entity_tables import described, is_there, reflected
from kolibri_sdk.store.record_filter import conditions

__all__ = ["Tables"]

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
        """The entity's table; made when the database has never had one of that name.

        Raises
        ------
        ConfigurationError
            When the table that is there lacks a column which the entity names, or is a view; when
            there was one, and it is gone.
        """
        found = self.there(tx, name)
        if found is None:
            entity = self.entity(name)
            known = watches.find(tx, name)
            if known is not None and known.watched and known.table == entity.table_name:
                raise ConfigurationError(
                    f"{entity.file or name}: the table {entity.table_name} is gone; it was there "
                    f"at {known.seen_at:%Y-%m-%d %H:%M}Z",
                    "Put it back, or let `table` name the one that took its place; to have an "
                    f"empty one made: kolibri entities watch {name}",
                )
            found = self.make(tx, name)
        return found

    def make(self, tx: sa.Connection, name: str) -> sa.Table:
        """The entity's table, made from what the entity says where there is none."""
        if (found := self.there(tx, name)) is not None:
            return found
        take_turns(tx)
        described(self.entity(name)).create(tx, checkfirst=True)
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
        if not is_there(tx, entity):
            return None
        self._tables[name] = reflected(tx, entity)
        return self._tables[name]

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
        single = entity.key_columns[0] if len(entity.key_columns) == 1 else None
        if single and entity.number and entity.number not in row and single not in row:
            number = _next_key(tx, entity, table, single)
            if number is not None:
                row |= {single: number, entity.number: entity.numbered(number)}
        key_columns = [table.c[name] for name in entity.key_columns]
        with _fault_of_values(entity):
            made = tx.execute(sa.insert(table).values(row).returning(*key_columns)).one()
        parts = [row.get(name, value) for name, value in zip(entity.key_columns, made, strict=True)]
        record = RecordKey(entity=name, key=key_text(parts if single is None else parts[0]))
        return record, self.get(tx, record)

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

    def select(
        self,
        tx: sa.Connection,
        name: str,
        *,
        where: Mapping[str, Any] | None = None,
        closed: bool | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """The records of an entity that meet the conditions, by key.

        Parameters
        ----------
        where : mapping of str to object, optional
            Field → what it holds; see :func:`~kolibri_sdk.store.record_filter.conditions`.
        closed : bool, optional
            Only closed ones, or only those that are not.
        limit : int, optional
            No more than the first so many.
        """
        entity, table = self.entity(name), self.ensure(tx, name)
        wanted = conditions(entity, table, where or {}, closed)
        query = sa.select(table).where(*wanted).limit(limit)
        query = query.order_by(*(table.c[column] for column in entity.key_columns))
        return [dict(row) for row in tx.execute(query).mappings()]

    def count(self, tx: sa.Connection, name: str) -> int:
        """How many records there are."""
        table = self.ensure(tx, name)
        return int(tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

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
        keys = [table.c[column] for column in entity.key_columns]
        found: dict[str, list[RecordKey]] = {}
        for chunk in query_in_chunks(numbers):
            for number, *key in tx.execute(sa.select(text, *keys).where(text.in_(chunk))):
                record = RecordKey(entity=name, key=key_text(key if len(key) > 1 else key[0]))
                found.setdefault(str(number), []).append(record)
        return found


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


def _is(table: sa.Table, entity: Entity, record: RecordKey) -> sa.ColumnElement[bool]:
    parts = key_parts(record.key, len(entity.key_columns))
    if parts is None:
        return sa.false()
    named = zip(entity.key_columns, parts, strict=True)
    return sa.and_(*(_same(table.c[name], text) for name, text in named))


def _same(column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    try:
        value = column.type.python_type(text)
    except (NotImplementedError, TypeError, ValueError, ArithmeticError):
        return sa.cast(column, sa.Text) == text
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return sa.false()
    same: sa.ColumnElement[bool] = column == value
    return same


def _next_key(tx: sa.Connection, entity: Entity, table: sa.Table, key: str) -> int | None:
    """The key of the next record where the database counts them itself, else None."""
    column = table.c[key]
    if not isinstance(column.type, sa.Integer) or not column.primary_key:
        return None
    if tx.dialect.name == "sqlite":
        # The transaction holds the write lock: nobody else can take it meanwhile.
        return int(tx.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()) + 1
    name = tx.execute(
        sa.select(sa.func.pg_get_serial_sequence(quoted_table(entity), key))
    ).scalar_one_or_none()
    if name is None:
        return None
    return int(tx.execute(sa.text("select nextval(:name)"), {"name": name}).scalar_one())
