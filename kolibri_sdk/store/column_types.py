"""What columns hold: aware times, text that a database can keep, plain data, ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from kolibri_sdk.store.plain_json import storable

__all__ = ["BigId", "Json", "Text", "UtcDateTime"]


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC; SQLite keeps it without the zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> datetime | None:
        """Make it aware again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Text(sa.types.TypeDecorator[str]):
    """Text from anywhere, such as a mail or a rule's JavaScript."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(
        self,
        value: str | None,
        dialect: sa.Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> str | None:
        """Leave out what cannot be stored."""
        return value if value is None else storable(value)


class Json(sa.types.TypeDecorator[Any]):
    """Plain data; JSONB on PostgreSQL. The engine's serialiser leaves out what cannot be stored."""

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The dialect's own type."""
        kind = postgresql.JSONB() if dialect.name == "postgresql" else sa.JSON()
        return dialect.type_descriptor(kind)


BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
