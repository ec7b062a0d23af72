"""Rows to a DataFrame of documented columns and dtypes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from kolibri_sdk.frames.columns import TIME, FrameColumn

__all__ = ["frame_of"]


def frame_of(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, FrameColumn] | None
) -> pd.DataFrame:
    """A frame with exactly these columns and dtypes, whatever the rows hold, even none.

    Parameters
    ----------
    rows : iterable of mapping
        What is missing in a row is missing in the frame.
    columns : mapping of str to FrameColumn, or None
        None takes the rows as they are: records of entities have columns of their own.

    Examples
    --------
    >>> str(frame_of([], {"id": FrameColumn("string", "name")}).dtypes["id"])
    'string'
    """
    if columns is None:
        return pd.DataFrame(list(rows))
    values: dict[str, list[Any]] = {name: [] for name in columns}
    for row in rows:  # columns are filled row by row, so that rows need not all be held at once
        for name, column in values.items():
            column.append(row.get(name))
    # Each column's values are let go as soon as they are in the frame's own form.
    return pd.DataFrame({n: _series(values.pop(n), c.dtype) for n, c in columns.items()})


def _series(values: list[Any], dtype: str) -> pd.Series[Any]:
    if dtype == TIME:
        moments = pd.to_datetime(pd.Series(values, dtype="object"), utc=True)
        return moments.dt.as_unit("us")
    return pd.Series(values, dtype=dtype)
