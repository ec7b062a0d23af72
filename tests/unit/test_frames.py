"""Frames: documented columns and dtypes, whatever the rows hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest

from kolibri_sdk import frames
from kolibri_sdk.frames import FrameColumn, frame_of

DOCUMENTED = {
    name: getattr(frames, name)
    for name in frames.__all__
    if isinstance(getattr(frames, name), dict)
}
COLUMNS = {
    "id": FrameColumn("int64", "number"),
    "name": FrameColumn("string", "text"),
    "line": FrameColumn("Int64", "number or nothing"),
    "at": FrameColumn("datetime64[us, UTC]", "when"),
    "tags": FrameColumn("object", "list"),
    "ok": FrameColumn("bool", "yes or no"),
    "cost": FrameColumn("float64", "number"),
}
MOMENT = datetime(2026, 5, 1, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
FULL = {
    "id": 2**62,
    "name": "ä",
    "line": 3,
    "at": MOMENT,
    "tags": ["a", {"b": 1}],
    "ok": True,
    "cost": 1.5,
}
BARE = {"id": 1, "ok": False}


@pytest.mark.parametrize("rows", [[], [FULL], [FULL, BARE], [BARE, BARE]], ids=len)
@pytest.mark.parametrize("extra", [{}, {"unknown": 7}])
def test_columns_and_dtypes_are_always_the_same(
    rows: list[dict[str, object]], extra: dict[str, object]
) -> None:
    frame = frame_of([{**row, **extra} for row in rows], COLUMNS)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: column.dtype for name, column in COLUMNS.items()
    }
    assert len(frame) == len(rows)
    assert list(frame.index) == list(range(len(rows)))


def test_values_are_kept() -> None:
    full, bare = frame_of([FULL, BARE], COLUMNS).to_dict("records")
    assert full == {**FULL, "at": pd.Timestamp(MOMENT).tz_convert("UTC")}
    assert full["at"].microsecond == 123456
    assert bare["id"] == 1
    assert all(pd.isna(bare[name]) for name in ("name", "line", "at", "tags", "cost"))


@pytest.mark.parametrize("year", [1, 1600, 2400, 9999])
def test_times_far_away_do_not_break_a_frame(year: int) -> None:
    """The Date header of a mail says whatever its sender likes."""
    far = datetime(year, 6, 1, tzinfo=UTC)
    frame = frame_of([{**FULL, "at": far}, FULL, BARE], COLUMNS)
    assert str(frame.dtypes["at"]) == "datetime64[us, UTC]"
    assert frame["at"][0].year == year


def test_records_of_entities_have_columns_of_their_own() -> None:
    assert list(frame_of([{"a": 1, "b": None}, {"a": 2}], None).columns) == ["a", "b"]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_column_is_explained(name: str) -> None:
    frame = frame_of([], DOCUMENTED[name])
    for column, described in DOCUMENTED[name].items():
        assert described.meaning, column
        assert str(frame.dtypes[column]) == described.dtype


def test_all_of_them_are_checked() -> None:
    assert len(DOCUMENTED) >= 6
