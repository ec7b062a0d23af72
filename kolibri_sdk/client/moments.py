"""Moments as people write them: a date, a time, text in ISO 8601."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError

__all__ = ["moment"]


def moment(value: str | date) -> datetime:
    """ISO 8601, a date or a datetime as a moment; UTC where no zone is named."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{value!r} is no time", "Write ISO 8601, such as 2026-05-01 or 2026-05-01T08:00Z"
            ) from error
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return clock.utc(value if value.tzinfo else value.replace(tzinfo=UTC))
