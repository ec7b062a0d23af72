"""The filters that write dates and numbers as a language does, in a time zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import UnknownCurrencyError, format_currency, format_decimal, format_percent

__all__ = ["Formats"]

_FALLBACK = "en"


class Formats:
    """Dates and numbers in one language and zone.

    Parameters
    ----------
    language : str
        Such as ``de`` or ``de-AT``; for one that Babel does not know, its first part, else English.
    zone : str
        Such as ``Europe/Vienna``: times are told in it, those without an offset taken as UTC.
        Without one, a time keeps the offset that it carries; one that does not exist is UTC.

    Examples
    --------
    >>> Formats("de").number(1234.5)
    '1.234,5'
    >>> Formats("de-AT").date("2026-01-31")
    '31.01.2026'
    >>> Formats("de", "Europe/Vienna").datetime("2026-07-31T22:30:00Z", "short")
    '01.08.26, 00:30'
    """

    def __init__(self, language: str, zone: str = "") -> None:
        self._locale = _locale(language)
        self._zone = _zone(zone) if zone else None

    @classmethod
    def named(cls) -> dict[str, Callable[..., str]]:
        """The filters in the fallback language, for checks that only need their names."""
        return cls(_FALLBACK).filters()

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by the names that templates use."""
        return {
            "ago": self.ago_from("1970-01-01"),
            "currency": self.currency,
            "date": self.date,
            "datetime": self.datetime,
            "number": self.number,
            "percent": self.percent,
            "time": self.time,
        }

    def date(self, value: str, style: str = "medium") -> str:
        """An ISO date or time as a date; ``style`` is short, medium, long, full or a pattern."""
        moment = _moment(value)
        if len(value) > len("2026-01-31"):  # a date alone is the same day everywhere
            moment = self._local(moment)
        return format_date(moment.date(), style, locale=self._locale)

    def datetime(self, value: str, style: str = "medium") -> str:
        """An ISO time as date and time in the reader's zone, else in the offset it carries."""
        moment = self._local(_moment(value))
        return format_datetime(moment, style, tzinfo=moment.tzinfo, locale=self._locale)

    def time(self, value: str, style: str = "short") -> str:
        """An ISO time as the time of day alone."""
        moment = self._local(_moment(value))
        return format_time(moment, style, tzinfo=moment.tzinfo, locale=self._locale)

    def ago_from(self, now: str) -> Callable[[str], str]:
        """The filter ``ago``: how long before the mail is written that was, ``3 hours ago``."""

        def ago(value: str) -> str:
            since = _utc(_moment(value)) - _utc(_moment(now))
            return format_timedelta(since, add_direction=True, locale=self._locale)

        return ago

    def number(self, value: Any, decimals: int | None = None) -> str:
        """A number with the language's separators; ``decimals`` fixes the places."""
        return format_decimal(_exact(value), _places(decimals), locale=self._locale)

    def percent(self, value: Any, decimals: int = 0) -> str:
        """A share of 1 as a percentage: ``0.25`` is 25 %."""
        pattern = self._locale.percent_formats[None].pattern
        places = pattern.replace("#,##0", _places(decimals) or "#,##0", 1)
        return format_percent(_exact(value), places, locale=self._locale)

    def currency(self, value: Any, code: str) -> str:
        """An amount of money; ``code`` is that of ISO 4217, such as EUR."""
        try:
            return format_currency(_exact(value), code.upper(), locale=self._locale)
        except (UnknownCurrencyError, AttributeError):
            raise ValueError(f"{code!r} is no currency of ISO 4217; write EUR, CHF, …") from None

    def _local(self, moment: dt.datetime) -> dt.datetime:
        return moment if self._zone is None else _utc(moment).astimezone(self._zone)


def _exact(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 (as for bad text)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None


def _places(decimals: int | None) -> str | None:
    return None if decimals is None else "#,##0" + ("." + "0" * decimals if decimals else "")


def _locale(language: str) -> Locale:
    for name in (language, language.replace("_", "-").partition("-")[0]):
        try:
            return Locale.parse(name.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(_FALLBACK)


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _moment(value: str) -> dt.datetime:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an ISO date or time")  # noqa: TRY004 (as for bad text)
    return dt.datetime.fromisoformat(value)
