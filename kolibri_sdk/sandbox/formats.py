"""The filters that write dates and numbers as a language does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

__all__ = ["Formats"]

_FALLBACK = "en"


class Formats:
    """Dates and numbers in one language.

    Parameters
    ----------
    language : str
        Such as ``de`` or ``de-AT``; for one that Babel does not know, its first part, else English.

    Examples
    --------
    >>> Formats("de").number(1234.5)
    '1.234,5'
    >>> Formats("de-AT").date("2026-01-31")
    '31.01.2026'
    """

    def __init__(self, language: str) -> None:
        self._locale = _locale(language)

    @classmethod
    def named(cls) -> dict[str, Callable[..., str]]:
        """The filters in the fallback language, for checks that only need their names."""
        return cls(_FALLBACK).filters()

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by the names that templates use."""
        return {"date": self.date, "datetime": self.datetime, "number": self.number}

    def date(self, value: str, style: str = "medium") -> str:
        """An ISO date or time as a date; ``style`` is short, medium, long, full or a pattern."""
        return format_date(_moment(value).date(), style, locale=self._locale)

    def datetime(self, value: str, style: str = "medium") -> str:
        """An ISO time as date and time, in the offset that it carries."""
        moment = _moment(value)
        return format_datetime(moment, style, tzinfo=moment.tzinfo, locale=self._locale)

    def number(self, value: Any, decimals: int | None = None) -> str:
        """A number with the language's separators; ``decimals`` fixes the places."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 (as for bad text)
        places = None if decimals is None else "#,##0" + ("." + "0" * decimals if decimals else "")
        try:
            exact = Decimal(str(value))
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number") from None
        return format_decimal(exact, places, locale=self._locale)


def _locale(language: str) -> Locale:
    for name in (language, language.replace("_", "-").partition("-")[0]):
        try:
            return Locale.parse(name.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(_FALLBACK)


def _moment(value: str) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an ISO date or time")  # noqa: TRY004 (as for bad text)
    return dt.datetime.fromisoformat(value)
