"""An entity: the description of a logical table such as *incident*, and one record of it (S3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document

__all__ = ["Closed", "Entity", "EntityDocument", "FieldType", "RecordKey", "key_parts", "key_text"]


class FieldType(StrEnum):
    """What a field of a record holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    USER = "user"  #: the id of a user, anybody's mail address, or several of these with commas
    GROUP = "group"  #: the name of a group of users
    JSON = "json"


class Closed(Document):
    """When a record counts as closed."""

    field: str
    values: tuple[str | int | bool, ...] = Field(
        (), description="it is closed with one of these; without them, wherever it is not empty"
    )

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Whether a record with these fields is closed.

        Examples
        --------
        >>> Closed(field="closed_at").holds({"closed_at": "2026-05-01T08:00:00+00:00"})
        True
        >>> Closed(field="state", values=(6, 7)).holds({"state": 1})
        False
        """
        value = record.get(self.field)
        if not self.values:
            return bool(value)
        return value is not None and _word(value) in map(_word, self.values)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class EntityDocument(Document):
    """``rules/entities/NAME.yaml``."""

    table: str = Field(min_length=1, description="the table; reflected if it exists, else made")
    schema_: str | None = Field(
        None, alias="schema", description="of the table on PostgreSQL; else as the search path says"
    )
    key: str | tuple[str, ...] = Field(
        "id", description="the column that identifies a record, or the columns that do together"
    )
    number: str | None = Field(None, description="the column that people call it by, INC-000123")
    number_format: str | None = Field(None, description="for tables made here: INC-{:06d}")
    title: str | None = None
    group: str | None = None
    closed: Closed | None = None
    merged_into: str | None = Field(
        None, description="the field that names, by key or number, the record it was merged into"
    )
    activity_stream: bool = True
    fields: dict[str, FieldType] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _roles_are_fields(self) -> EntityDocument:
        roles = {"number": self.number, "title": self.title, "group": self.group}
        roles["merged_into"] = self.merged_into
        if self.closed:
            roles["closed.field"] = self.closed.field
        for role, name in roles.items():
            if self.fields and name and name not in self.fields:
                raise ValueError(f"{role} names the field {name!r}, which is not among the fields")
        if self.table.lower().startswith("kolibri_"):
            raise ValueError(f"table names {self.table!r}, one of Kolibri's own")
        if not self.key or "" in self.key_columns:
            raise ValueError("key names no column")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that identify a record together; nearly always one."""
        return (self.key,) if isinstance(self.key, str) else self.key


class Entity(EntityDocument):
    """An entity with its name; made from its file."""

    name: str
    file: str = ""

    def is_closed(self, record: Mapping[str, Any] | None) -> bool:
        """Whether this record counts as closed."""
        return self.closed is not None and record is not None and self.closed.holds(record)

    def happened(
        self, kind: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> set[str]:
        """What a change was, in the words of ``on``: insert, update, close, reopen, delete.

        Examples
        --------
        >>> incident = Entity(
        ...     name="incident", table="incident", closed=Closed(field="status", values=("done",))
        ... )
        >>> sorted(incident.happened("update", {"status": "open"}, {"status": "done"}))
        ['close', 'update']
        """
        words = {kind}
        if kind == "update":
            was, closed = self.is_closed(before), self.is_closed(after)
            words |= {"close"} if closed and not was else set()
            words |= {"reopen"} if was and not closed else set()
        return words

    def numbered(self, key: int) -> str:
        """What people call the record with this key, where the table is made here.

        Examples
        --------
        >>> Entity(name="incident", table="incident").numbered(123)
        'INC-000123'
        """
        pattern = self.number_format or f"{self.name[:3].upper()}-{{:06d}}"
        return pattern.format(key)

    def is_about(self, other: Entity) -> bool:
        """Whether both name one table: its changes can be captured for one entity only."""
        return (self.table, self.schema_) == (other.table, other.schema_)

    @property
    def table_name(self) -> str:
        """The table with its schema, as messages name it."""
        return f"{self.schema_}.{self.table}" if self.schema_ else self.table


class RecordKey(Document):
    """Which record: entity name and key (as text, whatever the column's type)."""

    entity: str
    key: str

    def __str__(self) -> str:
        return f"{self.entity} {self.key}"

    def __hash__(self) -> int:
        return hash((self.entity, self.key))


def key_text(values: Any) -> str:
    """The key of a record as text: of one column as it is, of several with slashes between.

    Examples
    --------
    >>> key_text(7), key_text((7, "a/b"))
    ('7', '7/a%2Fb')
    """
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        return str(values)
    return "/".join(str(one).replace("%", "%25").replace("/", "%2F") for one in values)


def key_parts(text: str, columns: int) -> list[str] | None:
    """The values in the text of a key, by column; None where there are not so many.

    Examples
    --------
    >>> key_parts("a/b", 1), key_parts("7/a%2Fb", 2), key_parts("7", 2)
    (['a/b'], ['7', 'a/b'], None)
    """
    if columns == 1:
        return [text]
    parts = [unquote(part) for part in text.split("/")]
    return parts if len(parts) == columns else None
