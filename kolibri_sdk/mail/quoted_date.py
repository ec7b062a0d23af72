"""The date in the headers of a quoted mail, as mail programs write it in their languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from functools import cache

from babel import Locale

__all__ = ["read_quoted_date"]

_LANGUAGES = (
    *("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "fi", "cs", "sk", "hu"),
    *("ro", "ru", "uk", "tr", "hr"),
)
_LONGEST = 200
_TIME = re.compile(
    r"(?<![\d.:])(\d{1,2})[:.h](\d{2})(?:[:.](\d{2}))?(?![\d:])\s*(nachm|vorm|[ap]\.?\s?m\b)?", re.I
)
_ISO = re.compile(r"(?<!\d)(\d{4})[-/.年]\s?(\d{1,2})[-/.月]\s?(\d{1,2})(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})([-/.])\s?(\d{1,2})\2\s?(\d{4}|\d{2})(?!\d)")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|[.ºª])?\s+(?:de\s+|d['’])?([^\W\d_]{3,})\.?,?\s+(?:de\s+)?(\d{4})",
    re.I,
)
_MONTH_FIRST = re.compile(r"([^\W\d_]{3,})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)", re.I)
_ZONE = re.compile(r":\d\d\s*(?:[+-]\d{4}|GMT\b|UTC\b|Z\b)")
_YEARS = range(1970, 2101)


def read_quoted_date(text: str) -> str | None:
    """The moment in ISO 8601: in UTC where the text names a zone, without a zone where it does not.

    Whoever forwards a mail sees its date in his own zone, and his program does not say which that
    is. Where day and month are both numbers with a slash between them, the day comes first, unless
    a.m. or p.m. says that the writer's language is English.

    Examples
    --------
    >>> read_quoted_date("Montag, 4. Mai 2026 10:15")
    '2026-05-04T10:15:00'
    >>> read_quoted_date("Mon, 4 May 2026 10:15:00 +0200")
    '2026-05-04T08:15:00+00:00'
    """
    text = text[:_LONGEST]
    try:
        parsed = parsedate_tz(text) if _ZONE.search(text) else None
        if parsed and parsed[9] is not None and parsed[0] in _YEARS:
            zone = timezone(timedelta(seconds=parsed[9]))
            return (
                datetime(*parsed[:5], min(parsed[5], 59), tzinfo=zone).astimezone(UTC).isoformat()
            )
        return _local(text)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _local(text: str) -> str | None:
    clock = _TIME.search(_NUMBERS.sub(lambda found: " " * len(found[0]), text))
    half = (clock[4] or "").lower() if clock else ""
    day = _day(text, english=half.startswith(("a", "p")))
    if day is None or day[0] not in _YEARS:
        return None
    hour, minute, second = (int(clock[n] or 0) for n in (1, 2, 3)) if clock else (0, 0, 0)
    if half.startswith(("p", "n")) and hour < 12:
        hour += 12
    elif half.startswith(("a", "v")) and hour == 12:
        hour = 0
    return datetime(*day, hour, minute, second).isoformat()  # noqa: DTZ001 - its zone is unknown


def _day(text: str, *, english: bool) -> tuple[int, int, int] | None:
    if found := _ISO.search(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _NUMBERS.search(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        month_first = second > 12 or (found[2] == "/" and english and first <= 12)
        day, number = (second, first) if month_first else (first, second)
        return (year if year > 99 else 2000 + year), number, day
    for pattern, named, numbered in ((_DAY_FIRST, 2, 1), (_MONTH_FIRST, 1, 2)):
        for found in pattern.finditer(text):
            month = _months().get(found[named].lower())
            if month is not None:
                return int(found[3]), month, int(found[numbered])
    return None


@cache
def _months() -> dict[str, int]:
    """The names of the months, long and short, in these languages; made when first needed."""
    names: dict[str, int] = {"sept": 9, "mrz": 3, "märz": 3}
    for language in _LANGUAGES:
        months = Locale(language).months
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in months[form][width].items():
                    names.setdefault(str(name).lower().strip("."), number)
    return names
