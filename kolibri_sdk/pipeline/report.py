"""What a pass did: counts, refusals, errors; a line for people, JSON for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any

__all__ = ["COUNTS", "MOST_TOLD", "PassReport"]

MOST_TOLD = 100  #: refusals of one kind that are told one by one

#: What is counted, in the order in which it happens.
COUNTS = {
    "fetched": "mails taken from servers",
    "stored": "new KolibriMessages",
    "duplicates": "mails whose very bytes had come before",
    "unparsed": "mails beyond the parser's limits, kept with their bytes",
    "referenced": "mails tied to a record by their reference",
    "suggested": "records that a mail may belong to, for a person to accept",
    "forged": "references with a wrong signature, which count for nothing",
    "decisions": "rules decided, on mails and on changes",
    "matched": "of these, matches",
    "records": "records made",
    "events": "changes of records looked at",
    "queued": "mails put into the outbox",
    "held": "of these, held back: a cap, a loop, a stranger, a bounced address",
    "waiting": "mails that wait for a delay or a digest",
    "bounced": "recipients whom a mail of ours did not reach, as a bounce told",
    "sent": "mails sent",
    "retried": "mails to be tried again later",
    "failed": "mails refused for good, or with a template that fails",
    "uncertain": "mails that may or may not have gone out",
    "copied": "copies put into Sent folders",
}


@dataclass(slots=True)
class PassReport:
    """One pass of the poller.

    Attributes
    ----------
    counts : Counter of str
        By the names in ``COUNTS``.
    mailboxes : dict of str to Counter
        ``fetched``, ``stored`` and ``duplicates`` by mailbox.
    refused : list of str
        What was not done on purpose, and why; of each kind the first ``MOST_TOLD``.
    more : Counter of str
        How many of each kind were not told one by one: a flood must not drown the report.
    held : Counter of str
        Why mails were held, and how many for each reason.
    errors : list of str
        What went wrong, with the next step; empty in a healthy pass.
    resting : list of str
        The mailboxes in which nothing had changed.
    early : bool
        Whether it was made between two beats, because a server told of new mail (IDLE).
    """

    started_at: datetime
    finished_at: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)
    mailboxes: dict[str, Counter[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    early: bool = False
    resting: list[str] = field(default_factory=list)
    _told: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not self.errors

    @property
    def seconds(self) -> float:
        """How long the pass took."""
        if self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at).total_seconds()

    def count(self, mailbox: str, name: str, number: int = 1) -> None:
        """Count something that a mailbox did, there and in the whole."""
        if number:
            self.mailboxes.setdefault(mailbox, Counter())[name] += number
            self.counts[name] += number

    def refuse(self, what: Iterable[str], *, kind: str = "refusals") -> None:
        """Note what was not done on purpose, each once; of one kind no more than ``MOST_TOLD``."""
        for one in what:
            if one in self.refused:
                continue
            if self._told[kind] < MOST_TOLD:
                self._told[kind] += 1
                self.refused.append(one)
            else:
                self.more[kind] += 1

    def hold(self, number: int, why: Iterable[str]) -> None:
        """Count mails that are held, and of which kinds the reasons are."""
        self.counts["held"] += number
        self.held.update(why)

    @property
    def not_done(self) -> list[str]:
        """What was refused, and at the end how much more of each kind, and what was held."""
        more = [f"and {number:,} more {kind}" for kind, number in self.more.items()]
        held = [
            f"{number:,} held: {kind}; see `kolibri outbox list --state held`"
            for kind, number in self.held.items()
        ]
        return [*self.refused, *more, *held]

    def line(self) -> str:
        """One line for a log or a progress display.

        Examples
        --------
        >>> from datetime import UTC
        >>> report = PassReport(datetime(2026, 5, 1, 8, 0, tzinfo=UTC))
        >>> report.count("support", "fetched", 3)
        >>> report.line()
        '2026-05-01 08:00:00Z  3 fetched · 0 stored · 0 referenced · 0 records · 0 sent  (0.0 s)'
        """
        shown = ["fetched", "stored", "referenced", "records", "sent"]
        shown += [
            n for n in COUNTS if self.counts[n] and n in {"unparsed", "held", "bounced", "retried"}
        ]
        shown += [n for n in ("failed", "uncertain") if self.counts[n]]
        told = " · ".join(f"{self.counts[name]} {name}" for name in shown)
        errors = f"  {len(self.errors)} ERROR{'S' * (len(self.errors) > 1)}" if self.errors else ""
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}Z  {told}  ({self.seconds:.1f} s){errors}"

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        return {
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "early": self.early,
            **{name: self.counts[name] for name in COUNTS},
            "mailboxes": {name: dict(counts) for name, counts in self.mailboxes.items()},
            "refused": self.not_done,
            "errors": self.errors,
        }

    def __str__(self) -> str:
        return "\n".join([self.line(), *(f"  {error}" for error in self.errors)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th scope='row' style='text-align:left'>{name}</th>"
            f"<td style='text-align:right'>{self.counts[name]}</td>"
            f"<td style='text-align:left'>{escape(meaning)}</td></tr>"
            for name, meaning in COUNTS.items()
            if self.counts[name]
        )
        errors = "".join(f"<li>{escape(error)}</li>" for error in self.errors)
        failed = f"<p><strong>What went wrong</strong></p><ul>{errors}</ul>" if errors else ""
        return f"<p>{escape(self.line())}</p><table>{rows}</table>{failed}"
