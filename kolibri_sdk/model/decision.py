"""What a rule said of one message or one change of a record, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

__all__ = ["Decision", "Said", "Verdict"]


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
    script: str = "when"  #: the expression that line and column lie in, such as ``to.0``
    micros: float = 0.0
    shadow: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether the actions of the rule are to be carried out."""
        return self.verdict is Verdict.MATCH and not self.shadow


class Said(tuple[Decision, ...]):
    """What all rules said of one message, in their order.

    To most mails fifty rules say the same, namely no: those share one object, so that what it
    comes to is worked out once for all of them.

    Examples
    --------
    >>> said = Said([Decision("vpn", "d1", Verdict.MATCH), Decision("spam", "d2", Verdict.NO)])
    >>> said.acts, said.matches, [decision.rule for decision in said.told]
    (True, 1, ['vpn'])
    """

    @cached_property
    def acts(self) -> bool:
        """Whether any of them wants its actions carried out."""
        return any(decision.acts for decision in self)

    @cached_property
    def told(self) -> tuple[Decision, ...]:
        """Those that said more than a plain no."""
        return tuple(decision for decision in self if decision.verdict is not Verdict.NO)

    @cached_property
    def matches(self) -> int:
        """How many matched, those in the shadow included."""
        return sum(decision.verdict is Verdict.MATCH for decision in self.told)

    @cached_property
    def faults(self) -> tuple[Decision, ...]:
        """Those of rules that could not be decided."""
        return tuple(decision for decision in self.told if decision.verdict in _FAULTS)

    @cached_property
    def asked(self) -> tuple[tuple[str, str], ...]:
        """Name and digest of every rule that was asked."""
        return tuple((decision.rule, decision.digest) for decision in self)


_FAULTS = frozenset({Verdict.ERROR, Verdict.TIMEOUT, Verdict.CRASH})
