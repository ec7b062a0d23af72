"""The values of a record's columns, read and written as plain data, whatever the columns' types."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.entity import Entity, FieldType
from kolibri_sdk.store.column_types import UtcDateTime
from kolibri_sdk.store.plain_json import storable, storable_json

__all__ = ["Loose", "adapt_types", "as_plain", "fitting", "from_trigger"]


class Loose(sa.types.TypeDecorator[Any]):
    """A column of SQLite, which takes any value whatever its type says; none stops the reader.

    Parameters
    ----------
    meant : TypeEngine
        What the table says that the column holds.
    """

    impl = sa.types.NullType
    cache_ok = True

    def __init__(self, meant: Any) -> None:
        super().__init__()
        self.meant = meant

    def process_bind_param(
        self,
        value: Any,
        dialect: sa.Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> Any:
        """As SQLAlchemy itself writes it for SQLite."""
        if isinstance(value, datetime):
            naive = clock.utc(value).replace(tzinfo=None) if value.tzinfo else value
            return naive.isoformat(" ", "microseconds")
        if isinstance(value, date | time):
            return value.isoformat()
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    def process_result_value(
        self,
        value: Any,
        dialect: sa.Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> Any:
        """What it means, or the value as it is where it means nothing."""
        return _meaning(self.meant, value)


def adapt_types(tx: sa.Connection, entity: Entity, table: sa.Table) -> None:
    """Let the columns of a reflected table be what the entity says, and readable on SQLite."""
    loose = (sa.DateTime, sa.Date, sa.Time, sa.Boolean, sa.JSON, UtcDateTime)
    for column in table.c:
        if entity.fields.get(column.name) is FieldType.DATETIME:
            column.type = UtcDateTime()
        if tx.dialect.name != "sqlite":
            continue
        if isinstance(column.type, loose):
            column.type = Loose(column.type)
        elif isinstance(column.type, sa.Numeric):
            # SQLite calls any type NUMERIC that it does not know, such as UUID; nothing to convert.
            column.type = sa.types.NullType()


def as_plain(value: Any) -> Any:
    """A column's value as JSON knows it: times as ISO text, numbers as numbers, bytes left out."""
    if isinstance(value, bytes | bytearray | memoryview):
        return None
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return clock.utc(value).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


_PLAIN = frozenset({str, int, bool, type(None)})


def from_trigger(table: sa.Table, field: str, value: Any) -> Any:
    """A column's value as a trigger wrote it into JSON, in the form that reading it has."""
    column = table.c.get(field)
    kind = column.type if column is not None else None
    if isinstance(kind, sa.LargeBinary):
        return None
    if type(value) in _PLAIN and not isinstance(kind, _WRITTEN_OTHERWISE):
        return value
    return as_plain(_meaning(_meant(kind), value))


#: Types of columns whose values a trigger may write otherwise than they are read.
_WRITTEN_OTHERWISE = (Loose, sa.Boolean, sa.JSON, sa.DateTime, UtcDateTime)


def _meant(kind: Any) -> Any:
    return kind.meant if isinstance(kind, Loose) else kind


def _meaning(kind: Any, value: Any) -> Any:
    try:
        if isinstance(kind, sa.Boolean) and value in (0, 1):
            return bool(value)
        if isinstance(kind, sa.JSON) and isinstance(value, str):
            return json.loads(value)
        if isinstance(kind, sa.DateTime | UtcDateTime) and isinstance(value, str):
            moment = datetime.fromisoformat(value)
            known = moment.tzinfo is not None or not isinstance(kind, UtcDateTime)
            return moment if known else moment.replace(tzinfo=UTC)
    except ValueError:
        pass
    return value


def _moment(text: str) -> datetime:
    return clock.utc(datetime.fromisoformat(text))


def _truth(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("it is neither true nor false")
    return bool(value)


#: How a value is read that is meant for a column of this type.
_READ: dict[type[Any], Callable[[Any], Any]] = {
    UtcDateTime: _moment,
    sa.DateTime: _moment,
    sa.Date: date.fromisoformat,
    sa.Time: time.fromisoformat,
    sa.Uuid: lambda text: UUID(str(text)),
    sa.Boolean: _truth,
}


def fitting(entity: Entity, table: sa.Table, field: str, value: Any) -> Any:
    """A value that a rule or a person gave, as the column takes it.

    Raises
    ------
    ActionError
        When there is no such field, or the value cannot be meant for it.
    """
    if field not in table.c:
        raise ActionError(
            f"{entity.name} has no field {field!r}",
            "It has: " + ", ".join(sorted(table.c.keys())),
        )
    kind = _meant(table.c[field].type)
    if isinstance(value, dict | list) and not isinstance(kind, sa.JSON):
        return storable(json.dumps(value, ensure_ascii=False))
    if isinstance(kind, sa.JSON):
        return storable_json(value)
    if isinstance(kind, sa.Text | sa.String) and isinstance(value, int | float | bool):
        return json.dumps(value)
    for known, read in _READ.items():
        if isinstance(value, str | int | float) and isinstance(kind, known):
            value = _read(entity, field, value, read)
    if isinstance(value, datetime) and isinstance(kind, sa.DateTime) and not kind.timezone:
        return clock.utc(value).replace(tzinfo=None)
    return storable(value) if isinstance(value, str) else value


def _read(entity: Entity, field: str, value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise ActionError(
            f"{entity.name}.{field} cannot hold {value!r} ({error})",
            "Times and dates are ISO 8601, times with a zone, such as message.received; "
            "truths are true and false",
        ) from error
