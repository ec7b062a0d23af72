"""How far a long reading has come: a bar in the terminal, a quiet one in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from kolibri_sdk import clock

__all__ = ["ProgressBar", "progress_bar"]

_EVERY = 0.2  #: seconds between two pictures in a notebook
_WIDTH = 16  #: of the bar in a terminal, which shall have room for words in 80 columns


class ProgressBar(Protocol):
    """Takes how far the work has come."""

    def show(self, done: int, total: int, told: str) -> None:
        """So much of so much, and a few words on it."""
        ...


class _Silent:
    def show(self, done: int, total: int, told: str) -> None:
        """Nothing."""


class _Terminal:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, done: int, total: int, told: str) -> None:
        """Move the bar."""
        self._progress.update(
            self._task, completed=min(done, total), total=total or None, told=told
        )


class _Notebook:
    """One line of output that is replaced; it stays, complete, in the executed notebook."""

    def __init__(self, title: str, unit: str) -> None:
        from IPython.display import display  # noqa: PLC0415 (only a notebook has it at hand)

        self._title = title
        self._unit = unit
        self._elapsed = clock.stopwatch()
        self._shown = 0.0
        show: Any = display
        self._handle = show(self._picture(0, 0, ""), raw=True, display_id=True)

    def show(self, done: int, total: int, told: str) -> None:
        """Draw it anew, a few times a second at most."""
        if done >= total or self._elapsed() - self._shown >= _EVERY:
            self._shown = self._elapsed()
            self._handle.update(self._picture(done, total, told), raw=True)

    def _picture(self, done: int, total: int, told: str) -> dict[str, str]:
        share = min(done / total, 1.0) if total else 0.0
        words = f"{self._title}: {told or 'looking'} · {_amount(done, total, self._unit)}"
        if 0 < share < 1:
            words += f" · about {self._elapsed() / share * (1 - share):,.0f} s to go"
        bar = (
            f'<progress max="1" value="{share:.3f}" aria-label="{escape(self._title)}"></progress>'
        )
        return {"text/plain": words, "text/html": f"<div>{bar} {escape(words)}</div>"}


@contextmanager
def progress_bar(title: str, *, unit: str, wanted: bool | None) -> Iterator[ProgressBar]:
    """A bar for as long as the ``with`` block lasts.

    Parameters
    ----------
    title : str
        What is worked on.
    unit : str
        ``bytes``, or what else is counted.
    wanted : bool or None
        None shows one where somebody may be looking: in a notebook, and on a terminal.
    """
    if wanted is False:
        yield _Silent()
    elif _in_notebook():
        yield _Notebook(title, unit)
    elif wanted or sys.stderr.isatty():
        columns = (
            *(
                TextColumn("{task.description}", markup=False),
                BarColumn(_WIDTH),
                TaskProgressColumn(),
            ),
            *(TextColumn("{task.fields[told]}", markup=False), TimeRemainingColumn()),
        )
        console = Console(stderr=True, force_terminal=wanted or None)
        with Progress(*columns, console=console, transient=True) as progress:
            yield _Terminal(progress, progress.add_task(title, total=None, told=""))
    else:
        yield _Silent()


def _in_notebook() -> bool:
    # Not imported: who has not started IPython is in no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _amount(done: int, total: int, unit: str) -> str:
    if unit == "bytes":
        return f"{decimal(min(done, total))} of {decimal(total)}"
    return f"{done:,} of {total:,} {unit}"
