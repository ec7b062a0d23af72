"""What an import did: by folder and in all, a summary for people, JSON for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

__all__ = ["IMPORT_COUNTS", "ImportReport"]

#: What is counted; ``read`` is the sum of the others but ``unparsed``, which are imported, too.
IMPORT_COUNTS = {
    "read": "mails found in the source",
    "imported": "new KolibriMessages in state imported",
    "known": "already there: imported before, or fetched by the poller",
    "unparsed": "of the imported, those beyond the parser's limits, kept with their bytes",
    "older": "left out, because they are older than asked for",
    "poller": "left to the poller, which is going to fetch them",
    "unreadable": "cannot be read from the source",
}
_MOST_ERRORS = 100


@dataclass(slots=True, repr=False)
class ImportReport:
    """An import of historic mail.

    Attributes
    ----------
    source, mailbox : str
        From where, to where.
    folders : dict of str to Counter
        By folder of the source, the names of ``IMPORT_COUNTS``.
    errors : list of str
        What could not be read or ended the import, at most 100; the counts have them all.
    complete : bool
        Whether the source was gone through to its end; if not, import it again to go on.
    """

    source: str
    mailbox: str
    folders: dict[str, Counter[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False

    def count(self, folder: str, name: str, number: int = 1) -> None:
        """Count mails of a folder."""
        self.folders.setdefault(folder, Counter())[name] += number

    def complain(self, error: str) -> None:
        """Note what went wrong."""
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(error)

    @property
    def counts(self) -> Counter[str]:
        """All folders together."""
        return sum(self.folders.values(), Counter())

    @property
    def ok(self) -> bool:
        """Whether everything was read."""
        return self.complete and not self.errors

    def line(self) -> str:
        """One line for people."""
        counts = self.counts
        told = [f"{counts[n]:,} {_SHORT.get(n, n)}" for n in IMPORT_COUNTS if _shown(n, counts)]
        rate = f", {counts['read'] / self.seconds:,.0f} mails/s" if self.seconds else ""
        end = "" if self.complete else "  NOT COMPLETE: import it again to go on"
        return f"{' · '.join(told)}  ({self.seconds:.1f} s{rate}){end}"

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Folder and counts, for a table whose head is :meth:`head`."""
        shown = [n for n in IMPORT_COUNTS if _shown(n, self.counts)]
        for folder, counts in sorted(self.folders.items()):
            yield (folder, *(f"{counts[name]:,}" for name in shown))

    def head(self) -> tuple[str, ...]:
        """The head of the table."""
        return ("folder", *(_SHORT.get(n, n) for n in IMPORT_COUNTS if _shown(n, self.counts)))

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        return {
            "source": self.source,
            "mailbox": self.mailbox,
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
            **{name: self.counts[name] for name in IMPORT_COUNTS},
            "folders": {
                folder: {name: counts[name] for name in IMPORT_COUNTS}
                for folder, counts in sorted(self.folders.items())
            },
            "errors": self.errors,
        }

    def __repr__(self) -> str:
        return f"<import of {self.source} → {self.mailbox}: {self.line()}>"

    def __str__(self) -> str:
        return "\n".join([self.line(), *(f"  {error}" for error in self.errors)])

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in self.head())
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows()
        )
        errors = "".join(f"<li>{escape(error)}</li>" for error in self.errors)
        failed = f"<p><strong>What went wrong</strong></p><ul>{errors}</ul>" if errors else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        told = escape(f"{self.source} → {self.mailbox}: {self.line()}")
        return f"<p>{told}</p>{table}{failed}"


_SHORT = {"known": "already there", "poller": "left to the poller", "older": "too old"}
_ALWAYS = {"read", "imported", "known"}


def _shown(name: str, counts: Counter[str]) -> bool:
    return name in _ALWAYS or counts[name] > 0
