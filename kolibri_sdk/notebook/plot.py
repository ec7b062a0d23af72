"""Mail handled over time: bars that are legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kolibri_sdk.pipeline import PassReport

__all__ = ["MailOverTime"]

_ACCENT = "#0e8a7d"
_QUIET = "#a3abb3"
_INK = "#757d86"  # 4.2 : 1 on white, 4.6 : 1 on a dark page
_ALARM = "#c4513d"
_MOST_BARS = 40
_MOST_TICKS = 7
_FEWEST_PLACES = 6  # or the bars of a short run would be blocks
_INCHES = (7.6, 2.7)
_DOTS_PER_INCH = 144


class MailOverTime:
    """The picture of a run: mail stored and mail sent, a pair of bars per pass.

    In a long run a pair of bars stands for several passes.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        To change or to save; it belongs to no pyplot window.
    """

    def __init__(self, passes: Sequence[PassReport]) -> None:
        self._passes = passes
        self.figure = Figure(figsize=_INCHES, layout="constrained")
        step = max(1, ceil(len(passes) / _MOST_BARS))
        groups = [passes[start : start + step] for start in range(0, len(passes), step)]
        axes = self.figure.subplots()
        _draw_bars(axes, groups)
        _label(axes, groups, step)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        picture = BytesIO()
        self.figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, transparent=True)
        width, height = (round(inches * 96) for inches in _INCHES)
        return picture.getvalue(), {"width": width, "height": height}

    def __repr__(self) -> str:
        stored, sent = (sum(r.counts[name] for r in self._passes) for name in ("stored", "sent"))
        return f"<mail over time: {stored} stored and {sent} sent in {len(self._passes)} passes>"


def _draw_bars(axes: Axes, groups: Sequence[Sequence[PassReport]]) -> None:
    for name, offset, colour in (("stored", -0.2, _ACCENT), ("sent", 0.2, _QUIET)):
        heights = [sum(report.counts[name] for report in group) for group in groups]
        places = [place + offset for place in range(len(groups))]
        axes.bar(places, heights, width=0.38, color=colour, label=name)
    ill = [place for place, group in enumerate(groups) if not all(report.ok for report in group)]
    if ill:
        axes.plot(ill, [0] * len(ill), "x", color=_ALARM, label="with errors", clip_on=False)


def _label(axes: Axes, groups: Sequence[Sequence[PassReport]], step: int) -> None:
    every = max(1, ceil(len(groups) / _MOST_TICKS))
    places = range(0, len(groups), every)
    axes.set_xticks(list(places), [f"{groups[p][0].started_at:%H:%M:%S}" for p in places])
    axes.set_xlim(-0.6, max(len(groups), _FEWEST_PLACES) - 0.4)
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    each = "pass" if step == 1 else f"{step} passes"
    axes.set_xlabel(f"start of the pass (UTC); a pair of bars per {each}", color=_INK)
    axes.set_ylabel("mails", color=_INK)
    axes.tick_params(colors=_INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)
    legend = axes.legend(frameon=False, labelcolor=_INK, ncols=3, loc="upper right")
    legend.set_in_layout(True)
