"""The clock: aware UTC, and what a test says it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kolibri_sdk import clock

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def test_now_is_aware_utc_and_moves() -> None:
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC


def test_a_fixed_clock_stands_still_and_ends() -> None:
    with clock.fixed(MOMENT):
        assert clock.now() == clock.now() == MOMENT
        with clock.fixed(MOMENT + timedelta(hours=1)):
            assert clock.now() == MOMENT + timedelta(hours=1)
        assert clock.now() == MOMENT
    assert clock.now() > MOMENT


def test_a_fixed_clock_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError), clock.fixed(MOMENT):
        raise RuntimeError
    assert clock.now() != MOMENT


def test_a_clock_that_a_test_moves() -> None:
    moments = iter([MOMENT, MOMENT + timedelta(seconds=30)])
    with clock.fixed(lambda: next(moments)):
        assert [clock.now(), clock.now()] == [MOMENT, MOMENT + timedelta(seconds=30)]


def test_times_are_brought_to_utc() -> None:
    two_hours_ahead = timezone(timedelta(hours=2))
    moved = clock.utc(datetime(2026, 5, 1, 10, 0, tzinfo=two_hours_ahead))
    assert moved == MOMENT
    assert moved.tzinfo is UTC


@pytest.mark.parametrize("take", [clock.utc, lambda moment: clock.fixed(moment).__enter__()])
def test_a_time_without_a_zone_is_refused(take: object) -> None:
    with pytest.raises(ValueError, match="2026-05-01T08:00:00 has no time zone"):
        take(datetime(2026, 5, 1, 8))  # type: ignore[operator]  # noqa: DTZ001


def test_sleeping_takes_its_time_unless_the_clock_is_fixed() -> None:
    elapsed = clock.stopwatch()
    clock.sleep(0.05)
    clock.sleep(-1)
    assert 0.04 < elapsed() < 2
    elapsed = clock.stopwatch()
    with clock.fixed(MOMENT):
        clock.sleep(60)
    assert elapsed() < 1
