"""What goes to the terminal: text without control characters, tables, JSON."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "complain",
    "frame_as_json",
    "plain",
    "print_frame_as_json",
    "print_json",
    "print_table",
    "rows_of",
    "say",
    "this_command",
]

_KEPT = {"\n", "\t"}
_WIDE = 1000
_HIDDEN = {"Cc", "Cf", "Cs"}


def plain(text: str) -> str:
    r"""The text without what could steer a terminal: a subject may hold anything.

    Examples
    --------
    >>> plain("harmless\x1b[2J") == "harmless\ufffd[2J"
    True
    """
    return "".join(
        "\ufffd" if unicodedata.category(c) in _HIDDEN and c not in _KEPT else c for c in text
    )


def say(text: str, *, style: str | None = None) -> None:
    """One line for people, on standard output; the style is a colour's name."""
    typer.secho(plain(text), fg=style)


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    typer.secho(plain(text), fg="red", err=True)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    typer.echo(json.dumps(value, default=str))


def print_frame_as_json(frame: Any) -> None:
    """The rows of a DataFrame as an array of objects; times in ISO 8601."""
    print_json(frame_as_json(frame))


def frame_as_json(frame: Any) -> list[dict[str, Any]]:
    """The rows of a DataFrame as plain JSON types."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso"))
    return rows


def rows_of(frame: Any, columns: Sequence[str]) -> Iterator[Sequence[object]]:
    """Rows of a DataFrame for a table: these columns, and None for what is missing."""
    chosen = frame[list(columns)]
    rows: Iterator[Sequence[object]] = (
        chosen.astype("object").where(chosen.notna(), None).itertuples(index=False, name=None)
    )
    return rows


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal; nothing in it is taken as markup.

    Times are told to the second, and what is missing is empty. Empty names in ``head`` give a
    table without a head. Where there is no terminal, as in a pipe
    or a log, nothing is broken into lines.
    """
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=SIMPLE_HEAD,
        show_header=any(head),
    )
    for name in head:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(plain(_told(cell))) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table)


def _told(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:%Y-%m-%d %H:%M:%S}" if isinstance(cell, datetime) else str(cell)


def this_command() -> str:
    """How the reader has to call this command: by its path where the shell would not find it."""
    called = Path(sys.argv[0])
    return "kolibri" if called.name != "kolibri" or shutil.which("kolibri") else str(called)
