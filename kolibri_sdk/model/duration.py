"""How long something lasts, as a person writes it: ``10 minutes``, ``1 hour``, ``90 s``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

__all__ = ["Duration", "duration", "spelled"]

_UNITS = {
    "s": 1, "second": 1, "seconds": 1,
    "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
_PATTERN = rf"^\s*\d+\s*({'|'.join(_UNITS)})\s*$"
_WRITTEN = re.compile(r"\s*(\d+)\s*([a-z]+)\s*")
_LONGEST = timedelta(days=366)


def duration(text: str | timedelta) -> timedelta:
    """The time that a text names.

    Raises
    ------
    ValueError
        When it is none, is nothing, or is more than a year.

    Examples
    --------
    >>> duration("10 minutes"), duration("1h")
    (datetime.timedelta(seconds=600), datetime.timedelta(seconds=3600))
    """
    if isinstance(text, timedelta):
        found = text
    else:
        written = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
        if written is None or written[2] not in _UNITS:
            raise ValueError(f"{text!r} is no duration; write it like 10 minutes, 1 hour or 2 days")
        seconds = int(written[1]) * _UNITS[written[2]]
        found = timedelta(seconds=min(seconds, 10 * _LONGEST.total_seconds()))
    if not timedelta(0) < found <= _LONGEST:
        raise ValueError(f"{text!r} is not between a second and a year")
    return found


def spelled(length: timedelta) -> str:
    """The duration in the largest unit that it is a whole number of.

    Examples
    --------
    >>> spelled(timedelta(hours=2)), spelled(timedelta(seconds=90)), spelled(timedelta(days=1))
    ('2 hours', '90 seconds', '1 day')
    """
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            number = seconds // size
            return f"{number} {unit}" + ("s" if number != 1 else "")
    raise AssertionError("every number of seconds is one of seconds")


def _validated(value: Any) -> timedelta:
    return duration(value)


#: A field of a file in ``rules/`` that holds a duration.
Duration = Annotated[
    timedelta,
    BeforeValidator(_validated),
    PlainSerializer(spelled, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["10 minutes", "1 hour"]}),
]
