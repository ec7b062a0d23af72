"""The one place that reads the time: aware UTC datetimes, and a clock that a test can set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

__all__ = ["cpu_stopwatch", "fixed", "is_running", "now", "sleep", "stopwatch", "utc"]

_sources: list[Callable[[], datetime]] = []  # the last one counts; empty is the real clock


def now() -> datetime:
    """The present moment as an aware UTC datetime, or what the test clock says.

    Examples
    --------
    >>> now().tzinfo is UTC
    True
    """
    return _sources[-1]() if _sources else datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises
    ------
    ValueError
        When the datetime is naive: a time without its zone is a guess, and guesses are refused.

    Examples
    --------
    >>> from datetime import timedelta, timezone
    >>> utc(datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))).hour
    10
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; give an aware datetime")
    return moment.astimezone(UTC)


def is_running() -> bool:
    """Whether this is the real clock: while a test has set it, nobody waits for the time."""
    return not _sources


def sleep(seconds: float) -> None:
    """Wait that many seconds; a fixed clock does not wait."""
    if not _sources and seconds > 0:
        time.sleep(seconds)


def stopwatch() -> Callable[[], float]:
    """Start a stopwatch; calling what comes back gives the seconds since then."""
    started = time.perf_counter()
    return lambda: time.perf_counter() - started


def cpu_stopwatch() -> Callable[[], float]:
    """Like `stopwatch`, of the seconds that this thread computes: a busy machine adds none."""
    started = time.thread_time()
    return lambda: time.thread_time() - started


@contextmanager
def fixed(moment: datetime | Callable[[], datetime]) -> Iterator[None]:
    """Let ``now()`` return this moment (or what this function returns) inside the ``with`` block.

    Examples
    --------
    >>> with fixed(datetime(2026, 5, 1, tzinfo=UTC)):
    ...     now().isoformat()
    '2026-05-01T00:00:00+00:00'
    """
    at = None if callable(moment) else utc(moment)
    _sources.append(moment if callable(moment) else lambda: at)  # type: ignore[arg-type,return-value]
    try:
        yield
    finally:
        _sources.pop()
