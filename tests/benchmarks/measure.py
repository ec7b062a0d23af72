"""Rounds, medians and the file that keeps them: a figure counts only beside its peer's."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "LATEST",
    "Area",
    "Result",
    "Settings",
    "cpu_seconds",
    "in_turn",
    "rates",
    "table",
    "write",
]

LATEST = Path(__file__).with_name("latest.json")
Area = Literal["incoming", "outgoing", "lab", "scale"]


@dataclass(frozen=True)
class Settings:
    """How much to measure; every benchmark takes what concerns it."""

    mails: int = 2_000
    rounds: int = 3


@dataclass(frozen=True)
class Result:
    """One figure: a ratio, its goal, and how far apart the rounds were."""

    area: Area
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
        area: Area,
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


def in_turn(rounds: int, **runs: Callable[[], float]) -> dict[str, list[float]]:
    """Measure several things in turn, so that a slow minute of the machine hits all of them.

    Each callable returns what it measured, such as seconds; returned is one list for each, by
    round.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(run())
    return taken


def cpu_seconds(run: Callable[[], object]) -> float:
    """The processor time that a call takes in this process, whatever else the machine does."""
    before = time.process_time()
    run()
    return time.process_time() - before


def write(results: Sequence[Result]) -> None:
    """Put these results into ``latest.json``; others that stand there stay."""
    kept: dict[str, dict[str, object]] = {}
    if LATEST.exists():
        kept = {row["id"]: row for row in json.loads(LATEST.read_text())["results"]}
    kept |= {result.id: asdict(result) for result in results}
    rows = sorted(kept.values(), key=lambda row: (str(row["area"]), str(row["id"])))
    LATEST.write_text(json.dumps({"results": rows}, indent=2) + "\n")


def table(results: Sequence[Result]) -> str:
    """The results for a terminal, one a line, with goal and whether it is met."""
    rows = [("area", "what", "ratio", "goal", "", "spread")]
    rows += [_row(result) for result in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    sign = "≥" if result.better == "higher" else "≤"
    met = "met" if result.met else "NOT met"
    spread = f"{result.spread:.0%} over {result.rounds}"
    ratio, goal = f"{result.ratio:.2f}x", f"{sign} {result.goal:g}x"
    return (result.area, result.id, ratio, goal, met, spread)


def rates(count: int, seconds: Mapping[str, Sequence[float]]) -> str:
    """The absolute figures behind ratios, for who watches: mails per second, by round."""
    return "\n".join(
        f"  {name}: {', '.join(f'{count / one:,.0f}' for one in taken)} mails/s"
        for name, taken in seconds.items()
    )
