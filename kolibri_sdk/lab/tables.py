"""How results of the lab show themselves: escaped HTML in a notebook, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd

__all__ = ["cell", "figures", "page", "shown_table", "table"]

_LONGEST = 160
_MOST_ROWS = 60
_STYLE = "text-align:left;vertical-align:top;padding:2px 10px 2px 0;overflow-wrap:anywhere"
_NUMBER = (
    "text-align:right;vertical-align:top;padding:2px 10px 2px 0;font-variant-numeric:tabular-nums"
)


def cell(value: Any) -> str:
    """One value as a person reads it."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None or value is pd.NA or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        plain = abs(value) >= 1000 or (value.is_integer() and abs(value) >= 1)
        return f"{value:,.0f}" if plain else f"{value:,.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def table(title: str, frame: pd.DataFrame, most: int = _MOST_ROWS) -> str:
    """A frame with a caption; nothing in it is ever taken as HTML, long ones are cut and say so."""
    heads = "".join(f"<th scope='col' style='{_STYLE}'>{escape(str(c))}</th>" for c in frame)
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    rows = []
    for row in frame.head(most).itertuples(index=False):
        cells = (
            f"<td style='{_NUMBER if number else _STYLE}'>{escape(cell(value))}</td>"
            for value, number in zip(row, numeric, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    more = f" (the first {most} of {len(frame):,})" if len(frame) > most else ""
    caption = f"<caption style='text-align:left;font-weight:600'>{escape(title + more)}</caption>"
    return (
        f"<table style='border-collapse:collapse'>{caption}"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def figures(numbers: Iterable[tuple[str, str]]) -> str:
    """Big numbers, each with what it counts below it."""
    boxes = "".join(
        "<div style='display:inline-block;margin:0 2.2em .6em 0'>"
        f"<div style='font-size:1.5em;font-weight:600'>{escape(number)}</div>"
        f"<div style='opacity:.75'>{escape(words)}</div></div>"
        for number, words in numbers
    )
    return f"<div>{boxes}</div>"


def page(*parts: str) -> str:
    """Several pieces below each other."""
    return "<div>" + "".join(part for part in parts if part) + "</div>"


def shown_table(frame: pd.DataFrame, most: int = 40) -> str:
    """A frame as plain text, whole columns, without its index."""
    shown = frame.head(most)
    formatters = [
        str if pd.api.types.is_integer_dtype(shown[name].dtype) else cell for name in shown
    ]
    text = shown.to_string(index=False, na_rep="", formatters=formatters)
    return text + (f"\n… {len(frame) - most:,} more" if len(frame) > most else "")
