"""What a rule said of one message or one change of a record, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Decision", "Verdict"]


class Verdict(StrEnum):
    """The outcome of a rule; everything but ``match`` means that its actions do not happen."""

    MATCH = "match"
    NO = "no"
    ERROR = "error"  #: it threw, or gave neither true nor false
    TIMEOUT = "timeout"
    CRASH = "crash"  #: it took the sandbox process down
    SKIPPED = "skipped"  #: an earlier rule said stop


@dataclass(frozen=True, slots=True)
class Decision:
    """One rule on one subject (a message or an event).

    ``values`` holds, for a match, what the JavaScript of its actions gave, by
    ``"ACTION_INDEX.PATH"`` such as ``"0.set.title"``; for outgoing rules by ``"to.0"``.
    """

    rule: str
    digest: str
    verdict: Verdict
    reason: str = ""
    line: int | None = None
    column: int | None = None
    micros: float = 0.0
    shadow: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether the actions of the rule are to be carried out."""
        return self.verdict is Verdict.MATCH and not self.shadow
