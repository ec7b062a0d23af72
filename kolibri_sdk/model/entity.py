"""An entity: the description of a logical table such as *incident*, and one record of it (S3)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document

__all__ = ["Closed", "Entity", "EntityDocument", "FieldType", "RecordKey"]


class FieldType(StrEnum):
    """What a field of a record holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    USER = "user"  #: the id or the mail address of a user
    JSON = "json"


class Closed(Document):
    """When a record counts as closed."""

    field: str
    values: tuple[str, ...] = Field(min_length=1)


class EntityDocument(Document):
    """``rules/entities/NAME.yaml``."""

    table: str = Field(min_length=1, description="the table; reflected if it exists, else made")
    key: str = Field("id", description="the column that identifies a record")
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
        return self


class Entity(EntityDocument):
    """An entity with its name; made from its file."""

    name: str
    file: str = ""

    def is_closed(self, record: dict[str, Any] | None) -> bool:
        """Whether this record counts as closed."""
        if self.closed is None or record is None:
            return False
        return str(record.get(self.closed.field)) in self.closed.values

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
            was, closed = self.is_closed(dict(before or {})), self.is_closed(dict(after or {}))
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


class RecordKey(Document):
    """Which record: entity name and key (as text, whatever the column's type)."""

    entity: str
    key: str

    def __str__(self) -> str:
        return f"{self.entity} {self.key}"

    def __hash__(self) -> int:
        return hash((self.entity, self.key))
