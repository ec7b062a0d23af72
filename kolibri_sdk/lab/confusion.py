"""Pictures of a judgement: labels against a rule, and versions by precision and recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kolibri_sdk.lab.pictures import INK, Picture, quiet_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

__all__ = ["Confusion", "PrecisionRecall"]

_RIGHT, _WRONG, _UNKNOWN = "#0e8a7d", "#c4513d", "#a3abb3"
_FILL = {_RIGHT: 0.9, _WRONG: 0.9, _UNKNOWN: 0.35}
_LEAST_SIDE = 0.18  #: of a square, so that a small number is still seen


class Confusion(Picture):
    """Labels against what a rule said: the larger a square, the more mails.

    Parameters
    ----------
    rule : str
        Its name.
    counts : DataFrame
        As ``score.confusion`` gives it.
    """

    inches = (5.6, 3.0)

    def __init__(self, rule: str, counts: pd.DataFrame) -> None:
        self.rule, self.counts = rule, counts
        super().__init__()

    def draw(self, axes: Axes) -> None:
        """A square per cell, its number beside it in ink, its area by the number."""
        numbers = self.counts.to_numpy(int)
        sides = np.sqrt(numbers / max(numbers.max(), 1)) * 0.8
        colours = [[_RIGHT, _WRONG, _UNKNOWN], [_WRONG, _RIGHT, _UNKNOWN]]
        for row, line in enumerate(numbers):
            for column, number in enumerate(line):
                side = max(sides[row, column], _LEAST_SIDE) if number else 0.0
                colour = colours[row][column]
                corner = (column - 0.32 - side / 4, row - side / 2)
                axes.add_patch(_square(corner, side, colour))
                axes.text(column + 0.08, row, f"{number:,}", va="center", color=INK, size=12)
        axes.set_xlim(-0.75, 2.75)
        axes.set_ylim(1.5, -0.5)
        axes.set_xticks(range(3), ["should match", "should not", "unknown outcome"])
        axes.set_yticks(range(2), [f"{self.rule}\nmatches", "does not"])
        quiet_frame(axes)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)

    def __repr__(self) -> str:
        return f"<{self.rule} against labels>\n{self.counts.to_string()}"


def _square(corner: tuple[float, float], side: float, colour: str) -> Rectangle:
    from matplotlib.patches import Rectangle as Patch  # noqa: PLC0415

    return Patch(corner, side / 2, side, color=colour, alpha=_FILL[colour], lw=0)


class PrecisionRecall(Picture):
    """Versions of a rule as points: right means few missed, up means few wrong.

    Attributes
    ----------
    versions : DataFrame
        A row per version: ``precision``, ``recall``, and the ends of their 95 % intervals.
    """

    inches = (5.6, 4.2)

    def __init__(self, versions: pd.DataFrame) -> None:
        self.versions = versions
        super().__init__()

    def draw(self, axes: Axes) -> None:
        """Points with their intervals, joined in the order of the versions; lines of equal F1."""
        grid = np.linspace(0.01, 1, 200)
        for f1 in (0.2, 0.4, 0.6, 0.8):
            line = np.divide(
                f1 * grid, 2 * grid - f1, out=np.full(200, np.nan), where=grid > f1 / 2
            )
            axes.plot(grid, np.where(line <= 1, line, np.nan), color=INK, lw=0.6, alpha=0.45)
            axes.text(1.005, f1 / (2 - f1), f"F1 {f1}", color=INK, size=7, va="center")
        shown = self.versions.dropna(subset=["precision", "recall"])
        x, y = shown["recall"].to_numpy(), shown["precision"].to_numpy()
        axes.plot(x, y, color=_RIGHT, lw=1.2, alpha=0.5)
        axes.errorbar(
            x,
            y,
            xerr=[x - shown["recall_low"], shown["recall_high"] - x],
            yerr=[y - shown["precision_low"], shown["precision_high"] - y],
            fmt="o",
            color=_RIGHT,
            ecolor=_UNKNOWN,
            elinewidth=1,
            markersize=6,
        )
        for name, row in shown.iterrows():
            axes.annotate(
                str(name),
                (row["recall"], row["precision"]),
                xytext=(7, 7),
                textcoords="offset points",
                color=INK,
                size=9,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("recall: of those it should match, it does", color=INK)
        axes.set_ylabel("precision: of its matches, right", color=INK)
        quiet_frame(axes)

    def __repr__(self) -> str:
        told = (
            f"{name}: precision {row['precision']:.2f}, recall {row['recall']:.2f}"
            for name, row in self.versions.iterrows()
        )
        return f"<{'; '.join(told)}>"
