"""Rounds, medians and the file that keeps them: a figure counts only beside its peer's."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = ["LATEST", "Result", "ratios", "write"]

LATEST = Path(__file__).with_name("latest.json")


@dataclass(frozen=True)
class Result:
    """One figure: a ratio, its goal, and how far apart the rounds were."""

    area: Literal["incoming", "outgoing", "lab", "scale"]
    id: str
    ratio: float
    goal: float
    better: Literal["higher", "lower"]
    met: bool
    rounds: int
    spread: float  #: (highest - lowest ratio) / median

    @classmethod
    def of(
        cls,
        area: Literal["incoming", "outgoing", "lab", "scale"],
        name: str,
        pairs: Sequence[float],
        goal: float,
        better: Literal["higher", "lower"],
    ) -> Result:
        """The median of the rounds' ratios, against its goal."""
        middle = statistics.median(pairs)
        met = middle >= goal if better == "higher" else middle <= goal
        spread = (max(pairs) - min(pairs)) / middle
        return cls(area, name, round(middle, 3), goal, better, met, len(pairs), round(spread, 3))

    def __str__(self) -> str:
        sign = "≥" if self.better == "higher" else "≤"
        met = "met" if self.met else "NOT met"
        return f"{self.id}: {self.ratio:.2f}x (goal {sign} {self.goal:g}x, {met})"


def ratios(
    rounds: int, ours: Callable[[], float], peer: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure the two in turn, so that a slow minute of the machine hits both.

    Each callable returns the seconds it took. Returned are our seconds and the peer's, by round.
    """
    mine, theirs = [], []
    for _ in range(rounds):
        theirs.append(peer())
        mine.append(ours())
    return mine, theirs


def write(results: Sequence[Result]) -> None:
    """Put these results into ``latest.json``; others that stand there stay."""
    kept: dict[str, dict[str, object]] = {}
    if LATEST.exists():
        kept = {row["id"]: row for row in json.loads(LATEST.read_text())["results"]}
    kept |= {result.id: asdict(result) for result in results}
    rows = sorted(kept.values(), key=lambda row: (str(row["area"]), str(row["id"])))
    LATEST.write_text(json.dumps({"results": rows}, indent=2) + "\n")
