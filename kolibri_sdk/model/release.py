"""What a rule's release rests on: backtests as proofs, and the steps between its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Proof", "ReleaseStep"]


@dataclass(frozen=True, slots=True)
class Proof:
    """One rule, by its digest, tried on old mail: on which, and what came of it.

    Attributes
    ----------
    fingerprint : str
        SHA-256 over what tells the mails apart: the same mails have the same one.
    tried, matches, errors : int
        Mails on which the condition was evaluated, held, and failed.
    score : mapping, optional
        ``true_positives``, ``false_positives``, ``false_negatives``, where there were labels.
    gates : mapping, optional
        ``passed``, and each gate by name: what was wanted and what was found.
    """

    rule: str
    mailbox: str
    digest: str
    mails: int
    first_at: datetime | None
    last_at: datetime | None
    fingerprint: str
    tried: int
    matches: int
    errors: int
    score: Mapping[str, Any] | None = None
    gates: Mapping[str, Any] | None = None
    id: int | None = None
    at: datetime | None = None
    author: str = ""

    def __str__(self) -> str:
        span = ""
        if self.first_at is not None and self.last_at is not None:
            span = f" from {self.first_at:%Y-%m-%d} to {self.last_at:%Y-%m-%d}"
        errors = f", {self.errors:,} errors" if self.errors else ""
        name = f"backtest {self.id}" if self.id is not None else "backtest"
        return f"{name}: {self.matches:,} of {self.tried:,} mails{span}{errors}"


@dataclass(frozen=True, slots=True)
class ReleaseStep:
    """One step of a rule between draft, shadow and active.

    Attributes
    ----------
    step : str
        ``save``, ``shadow``, ``promote`` or ``rollback``.
    was, state : str
        The state before and after; ``new`` before there was a file.
    before, digest : str
        The version before and after; None before there was one.
    backtest : int or None
        The proof's number.
    """

    rule: str
    mailbox: str
    step: str
    was: str
    state: str
    before: str | None
    digest: str
    author: str
    reason: str
    backtest: int | None = None
    at: datetime | None = None
    id: int | None = None
