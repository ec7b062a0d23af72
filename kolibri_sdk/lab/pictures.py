"""Pictures of a trial: legible on a light and on a dark page, drawn when they are shown."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "HeatMap", "Picture", "Timeline", "quiet_frame"]

_COLOURS = ("#0e8a7d", "#c98a1b", "#5b7fc7", "#b0568f", "#7d8f2e", "#c4513d")
_QUIET = "#a3abb3"
INK = "#757d86"  # 4.2 : 1 on white, 4.6 : 1 on a dark page
_INCHES = (7.6, 2.9)
_DOTS_PER_INCH = 144
_MOST_RULES = len(_COLOURS)
_MOST_WRITTEN = 15  # rules in a heat map whose shares can be read


class Picture:
    """Something that a notebook shows as a picture, and a terminal as a sentence.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        To change or to save; it belongs to no pyplot window.
    """

    inches = _INCHES

    def __init__(self) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 (half a second, for who wants it)

        self.figure: Figure = Figure(figsize=self.inches, layout="constrained")
        self.draw(self.figure.subplots())

    def draw(self, axes: Axes) -> None:
        """Draw it."""
        raise NotImplementedError

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        picture = BytesIO()
        self.figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, transparent=True)
        width, height = (round(inches * 96) for inches in self.inches)
        return picture.getvalue(), {"width": width, "height": height}


def quiet_frame(axes: Axes) -> None:
    """Axes in one ink, without a box around them."""
    axes.tick_params(colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


class Timeline(Picture):
    """Mails over time, and those that each rule matches; the busiest rules, where there are many.

    Parameters
    ----------
    counts : DataFrame
        As ``trial.timeline()`` gives it.
    """

    def __init__(self, counts: pd.DataFrame) -> None:
        self.counts = counts
        busiest = counts.drop(columns="mails").sum().sort_values(ascending=False, kind="stable")
        self.shown = [str(name) for name in busiest.index[:_MOST_RULES]]
        self.hidden = len(busiest) - len(self.shown)
        super().__init__()

    def draw(self, axes: Axes) -> None:
        """Bars for all mails, a line with dots for each rule."""
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
        from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

        times: Any = self.counts.index.tz_localize(None)  # type: ignore[attr-defined]
        period: Any = times[1] - times[0] if len(times) > 1 else pd.Timedelta(hours=1)
        if len(times):
            wide = period * 0.9
            axes.bar(times, self.counts["mails"], width=wide, color=_QUIET, alpha=0.45, label="all")
            axes.set_xlim(times[0] - 2 * period, times[-1] + 2 * period)  # never decades around
        for name, colour in zip(self.shown, _COLOURS, strict=False):
            heights = self.counts[name]
            axes.plot(times, heights, color=colour, marker="o", markersize=3, lw=1.4, label=name)
        axes.set_ylim(0, None)
        locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
        axes.xaxis.get_offset_text().set_color(INK)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.set_ylabel("mails", color=INK)
        more = f"; {self.hidden} rules with fewer matches are not shown" if self.hidden else ""
        axes.set_xlabel(f"received (UTC){more}", color=INK)
        quiet_frame(axes)
        axes.legend(
            frameon=False, labelcolor=INK, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0)
        )

    def __repr__(self) -> str:
        total = self.counts["mails"].sum()
        told = ", ".join(f"{name} {self.counts[name].sum():,}" for name in self.shown)
        return f"<{total:,} mails in {len(self.counts)} periods; matched by {told}>"


class HeatMap(Picture):
    """Of each rule's matches (a row), the share that another rule (a column) has too.

    Parameters
    ----------
    overlap : DataFrame
        As ``trial.matrix().overlap`` gives it.
    """

    inches = (6.4, 5.2)

    def __init__(self, overlap: pd.DataFrame) -> None:
        self.overlap = overlap
        super().__init__()

    def draw(self, axes: Axes) -> None:
        """A square per pair, its share written in where there is room."""
        from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415

        counts = self.overlap.to_numpy(float)
        own = counts.diagonal()[:, None]
        shares = np.divide(counts, own, out=np.zeros_like(counts), where=own > 0)
        # Squares of their own colour, whose writing is legible on either page; none where there is
        # no overlap.
        colours = LinearSegmentedColormap.from_list("overlap", ["#d9efec", "#0e8a7d"])
        axes.imshow(np.ma.masked_equal(shares, 0), cmap=colours, vmin=0, vmax=1)
        names = list(self.overlap.index)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axes.set_yticks(range(len(names)), names)
        quiet_frame(axes)
        if len(names) <= _MOST_WRITTEN:
            for row, line in enumerate(shares):
                for column, share in enumerate(line):
                    if share:
                        ink = "#ffffff" if share > 0.7 else "#12302c"
                        axes.text(
                            column, row, f"{share:.0%}", ha="center", va="center", color=ink, size=8
                        )
        axes.set_xlabel("share of the row's matches that this rule has too", color=INK)

    def __repr__(self) -> str:
        return f"<overlap of {len(self.overlap)} rules>"
