"""The report of a run: what every pass did, what went wrong, what was refused, mail over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from kolibri_sdk.errors import RunFailed
from kolibri_sdk.notebook.plot import MailOverTime
from kolibri_sdk.pipeline import COUNTS, PassReport

__all__ = ["Note", "RunReport"]

_ALWAYS_SHOWN = ("fetched", "stored", "referenced", "matched", "records", "sent")
_IN_SHORT = ("fetched", "stored", "unparsed", "referenced", "records", "sent", "failed")
_MOST_ROWS = 30
_MOST_NOTES = 100
_MOST_REASONS = 20
# What stands between dollars in a subject or an error is no formula.
_PLAIN = "class='tex2jax_ignore mathjax_ignore'"


@dataclass(slots=True)
class Note:
    """Something that one or several passes said in the same words."""

    text: str
    times: int
    first: datetime
    last: datetime

    def __str__(self) -> str:
        if self.times == 1:
            return f"{self.first:%H:%M:%S}Z  {self.text}"
        return f"{self.first:%H:%M:%S}Z to {self.last:%H:%M:%S}Z, {self.times} times  {self.text}"


class RunReport:
    """All passes of a run; it grows while the run goes on, and shows itself in a notebook.

    Examples
    --------
    >>> run = RunReport()
    >>> for report in k.poll(passes=2):                             # doctest: +SKIP
    ...     print(run.add(report), flush=True)
    >>> run.headline()
    'No pass was made.'
    """

    def __init__(self) -> None:
        self.passes: list[PassReport] = []

    def add(self, report: PassReport) -> str:
        """Take in the next pass; what to print of it: its line, and errors that are new."""
        known = {error for earlier in self.passes for error in earlier.errors}
        self.passes.append(report)
        return "\n".join([report.line(), *(f"  {e}" for e in report.errors if e not in known)])

    @property
    def errors(self) -> list[Note]:
        """What went wrong, each once, with how often and when."""
        return _notes((report.started_at, report.errors) for report in self.passes)

    @property
    def refused(self) -> list[Note]:
        """What was not done on purpose, each once."""
        return _notes((report.started_at, report.not_done) for report in self.passes)

    def total(self, name: str) -> int:
        """The sum of a count (one of ``COUNTS``) over all passes."""
        return sum(report.counts[name] for report in self.passes)

    def headline(self) -> str:
        """The run in one sentence."""
        if not self.passes:
            return "No pass was made."
        told = ", ".join(f"{self.total(name):,} {name}" for name in self._columns(_IN_SHORT))
        first, last = self.passes[0], self.passes[-1]
        end = last.finished_at or last.started_at
        return (
            f"{_several(len(self.passes), 'pass', 'passes')}, "
            f"{first.started_at:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC: {told}; "
            f"{_errors(len(self.errors))}."
        )

    def plot(self) -> MailOverTime:
        """Mail stored and sent, pass by pass."""
        return MailOverTime(self.passes)

    def raise_for_errors(self) -> None:
        """Let the run count as failed when a pass had errors.

        Raises
        ------
        RunFailed
            With the errors, each once.
        """
        found = self.errors
        if found:
            shown = [str(note) for note in found[:_MOST_REASONS]]
            if len(found) > len(shown):
                shown.append(f"… and {len(found) - len(shown)} more, in the report")
            ill = sum(not report.ok for report in self.passes)
            raise RunFailed(
                f"{ill} of {_several(len(self.passes), 'pass', 'passes')} had errors:\n"
                + "\n".join(f"  {line}" for line in shown)
                + "\nEverything else was done"
            )

    def _columns(self, among: Iterable[str] = COUNTS) -> list[str]:
        """What is worth showing: the usual counts, and whatever else was not always zero."""
        return [name for name in among if name in _ALWAYS_SHOWN or self.total(name)]

    def _by_pass(self) -> tuple[list[list[str]], int]:
        """The rows of the table, and how many passes are left out because nothing happened."""
        told = [
            (number, report)
            for number, report in enumerate(self.passes, 1)
            if report.counts["fetched"] or report.counts["sent"] or report.errors
        ]
        if len(self.passes) <= _MOST_ROWS:
            told = list(enumerate(self.passes, 1))
        told = told[-_MOST_ROWS:]
        columns = self._columns()
        rows = [
            [
                f"{number:,}",
                f"{report.started_at:%H:%M:%S}",
                f"{report.seconds:.1f}",
                *(f"{report.counts[name]:,}" for name in columns),
                f"{len(report.errors):,}",
            ]
            for number, report in told
        ]
        return rows, len(self.passes) - len(told)

    def _by_mailbox(self) -> list[list[str]]:
        names = sorted({name for report in self.passes for name in report.mailboxes})
        columns = ("fetched", "stored", "duplicates")
        return [
            [name, *(f"{self._of_mailbox(name, column):,}" for column in columns)] for name in names
        ]

    def _of_mailbox(self, mailbox: str, name: str) -> int:
        return sum(r.mailboxes[mailbox][name] for r in self.passes if mailbox in r.mailboxes)

    def __repr__(self) -> str:
        parts = [self.headline()]
        for title, notes in (("Errors", self.errors), ("Refused", self.refused)):
            if notes:
                parts += [f"{title}:", *(f"  {note}" for note in notes[:_MOST_NOTES])]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        columns = self._columns()
        rows, quiet = self._by_pass()
        total = ["all", "", f"{sum(r.seconds for r in self.passes):.1f}"]
        total += [f"{self.total(name):,}" for name in columns]
        total += [f"{sum(len(r.errors) for r in self.passes):,}"]
        head = ["pass", "start (UTC)", "seconds", *columns, "errors"]
        parts = [f"<p><strong>{escape(self.headline())}</strong></p>"]
        parts.append(_list("What went wrong", self.errors))
        parts.append(_list("Not done on purpose", self.refused))
        parts.append(_table("By pass", head, [*rows, total], left=0))
        if quiet:
            parts.append(f"<p>{quiet:,} earlier or quiet passes are not listed.</p>")
        boxes = self._by_mailbox()
        if boxes:
            parts.append(
                _table("By mailbox", ["mailbox", "fetched", "stored", "duplicates"], boxes)
            )
        return f"<div {_PLAIN}>{''.join(parts)}</div>"


def _several(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _errors(number: int) -> str:
    return _several(number, "error", "different errors") if number else "no errors"


def _notes(said: Iterable[tuple[datetime, Sequence[str]]]) -> list[Note]:
    notes: dict[str, Note] = {}
    for moment, texts in said:
        for text in texts:
            note = notes.setdefault(text, Note(text, 0, moment, moment))
            note.times += 1
            note.last = moment
    return list(notes.values())


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table whose first ``left`` columns are text, and the others numbers."""

    def cells(tag: str, values: Sequence[str]) -> str:
        sides = ["left" if place < left else "right" for place in range(len(values))]
        return "".join(
            f"<{tag} style='text-align:{side}'>{escape(value)}</{tag}>"
            for side, value in zip(sides, values, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        "<table><caption style='text-align:left;font-weight:600;caption-side:top'>"
        f"{escape(title)}</caption><thead><tr>{cells('th', head)}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _list(title: str, notes: Sequence[Note]) -> str:
    if not notes:
        return f"<p><strong>{escape(title)}:</strong> nothing.</p>"
    items = "".join(f"<li>{escape(str(note))}</li>" for note in notes[:_MOST_NOTES])
    more = len(notes) - _MOST_NOTES
    rest = f"<p>… and {more:,} more.</p>" if more > 0 else ""
    return f"<p><strong>{escape(title)} ({len(notes):,})</strong></p><ul>{items}</ul>{rest}"
