"""How objects show themselves in a notebook: escaped HTML tables, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

__all__ = ["definition_table", "listing"]

_LONGEST = 400


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
    return escape(short).replace("\n", "<br>")


def definition_table(title: str, values: Mapping[str, Any]) -> str:
    """One object: a caption and a row per value; nothing in it is ever taken as HTML."""
    rows = "".join(
        "<tr><th scope='row' style='text-align:left;vertical-align:top'>"
        f"{escape(name)}</th><td style='text-align:left'>{_cell(value)}</td></tr>"
        for name, value in values.items()
    )
    return (
        "<table><caption style='text-align:left;font-weight:600'>"
        f"{escape(title)}</caption><tbody>{rows}</tbody></table>"
    )


def listing(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Several objects: a caption, a head and a row per object."""
    head = "".join(f"<th scope='col' style='text-align:left'>{escape(c)}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{_cell(v)}</td>" for v in row) + "</tr>"
        for row in rows
    )
    return (
        "<table><caption style='text-align:left;font-weight:600'>"
        f"{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
