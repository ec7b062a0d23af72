"""A rule judged by labels: precision, recall and F1, each with how sure that is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import TRIAL_MEASURES, frame_of
from kolibri_sdk.lab.confusion import Confusion, PrecisionRecall
from kolibri_sdk.lab.leaves import Leaves
from kolibri_sdk.lab.tables import figures, page, shown_table, table

__all__ = ["Score", "label_values", "progress_of", "wilson"]

_Z = 1.959963984540054  # 95 %
_SHOWN = 20

Bits = npt.NDArray[np.bool_]


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which holds for few tries and for shares near 0.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.596, 0.982]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if tries == 0:
        return 0.0, 1.0
    share, square = hits / tries, _Z**2
    centre = share + square / (2 * tries)
    spread = _Z * sqrt(share * (1 - share) / tries + square / (4 * tries**2))
    below = 1 + square / tries
    return max(0.0, (centre - spread) / below), min(1.0, (centre + spread) / below)


def label_values(mails: pd.DataFrame, label: Any) -> pd.Series[Any]:
    """The label of each mail: a column, a Series by the frame's index, or a mapping by id.

    Raises
    ------
    NotFound
        When there is no such column.
    ConfigurationError
        When a Series has none of the frame's rows.
    """
    if isinstance(label, str):
        if label not in mails.columns:
            raise NotFound.named("column of the frame", label, list(map(str, mails.columns)))
        return mails[label]
    if isinstance(label, Mapping):
        return mails["id"].map(dict(label))
    series = pd.Series(label)
    if len(mails) and not series.index.isin(mails.index).any():
        raise ConfigurationError(
            "The labels have none of the frame's rows",
            "Give a column's name, a Series with the frame's index, or a dict by the mails' ids",
        )
    return series.reindex(mails.index)


class Score:
    """How well a rule's matches agree with labels; mails without a label count apart.

    Attributes
    ----------
    rule : str
        Its name.
    positive : frozenset
        The labels that the rule should match.
    true_positives, false_positives, false_negatives, true_negatives : int
        Labelled mails: rightly matched, wrongly matched, missed, rightly left.
    unlabelled : int
        Matches of which nobody knows whether they are right.
    """

    def __init__(
        self,
        rule: str,
        mails: pd.DataFrame,
        matches: Bits,
        labels: pd.Series[Any],
        positive: Collection[Any] | None,
        leaves: Any,
    ) -> None:
        self.rule = rule
        known = labels.notna().to_numpy(bool)
        self.positive = frozenset([True] if positive is None else positive)
        self._check(labels[known])
        wanted = labels.isin(list(self.positive)).to_numpy(bool) & known
        self._mails, self._labels, self._leaves = mails, labels, leaves
        self._missed, self._wrong = known & wanted & ~matches, known & ~wanted & matches
        self.true_positives = int((wanted & matches).sum())
        self.false_positives = int(self._wrong.sum())
        self.false_negatives = int(self._missed.sum())
        self.true_negatives = int((known & ~wanted & ~matches).sum())
        self.unlabelled = int((matches & ~known).sum())

    def _check(self, labels: pd.Series[Any]) -> None:
        if len(labels) and not labels.isin(list(self.positive)).any():
            there = ", ".join(map(repr, labels.drop_duplicates().head(10)))
            asked = ", ".join(map(repr, sorted(self.positive, key=repr)))
            raise ConfigurationError(
                f"No mail has the label {asked}", f"positive= takes one or more of {there}"
            )

    def counts(self) -> dict[str, int]:
        """The four counts by name, as a proof keeps them."""
        names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Precision, recall and F1 with their 95 % intervals.

        Columns and dtypes as in ``kolibri_sdk.frames.TRIAL_MEASURES``. The interval of F1 is that
        of the share of right ones among all that match or should (Jaccard), which F1 follows.
        """
        right, wrong, missed = self.true_positives, self.false_positives, self.false_negatives
        rows = [
            _measure("precision", right, right + wrong),
            _measure("recall", right, right + missed),
        ]
        whole = _measure("f1", right, right + wrong + missed)
        for name in ("value", "low", "high"):
            whole[name] = 2 * whole[name] / (1 + whole[name])
        return frame_of([*rows, whole], TRIAL_MEASURES)

    def _value(self, name: str) -> float:
        measures = self.measures
        return float(measures["value"][measures["measure"] == name].iloc[0])

    @property
    def precision(self) -> float:
        """The right ones among its labelled matches; NaN where there are none."""
        return self._value("precision")

    @property
    def recall(self) -> float:
        """The share of those it should match that it does match."""
        return self._value("recall")

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return self._value("f1")

    @property
    def confusion(self) -> pd.DataFrame:
        """Labels against what the rule said; a column for mails that nobody has labelled."""
        return pd.DataFrame(
            {
                "should match": [self.true_positives, self.false_negatives],
                "should not": [self.false_positives, self.true_negatives],
                "unlabelled": [self.unlabelled, self._unlabelled_rest],
            },
            index=["matches", "does not"],
        )

    def plot(self) -> Confusion:
        """The confusion as a picture."""
        return Confusion(self.rule, self.confusion)

    @property
    def _unlabelled_rest(self) -> int:
        return int(self._labels.isna().sum()) - self.unlabelled

    @cached_property
    def missed(self) -> pd.DataFrame:
        """Mails it should match and does not, nearest misses first.

        Beside the frame's own columns: ``label``; ``distance``, how many leaves of the condition
        keep it from matching; ``in_the_way``, these leaves.
        """
        mails = self._labelled(self._missed)
        leaves: Leaves | None = self._leaves(mails)
        if leaves is None:
            return mails.assign(distance=0, in_the_way="")
        told = [" · ".join(leaves.in_the_way(place)) for place in range(len(mails))]
        near = mails.assign(distance=leaves.distance, in_the_way=told)
        return near.sort_values("distance", kind="stable")

    @cached_property
    def wrong(self) -> pd.DataFrame:
        """Mails it matches and should not, with ``label`` and, in ``because``, the leaves."""
        mails = self._labelled(self._wrong)
        leaves: Leaves | None = self._leaves(mails)
        if leaves is None:
            return mails.assign(because="")
        told = [" · ".join(leaves.in_favour(place)) for place in range(len(mails))]
        return mails.assign(because=told)

    def _labelled(self, which: Bits) -> pd.DataFrame:
        return self._mails[which].assign(label=self._labels[which])

    def __repr__(self) -> str:
        return f"<score of {self.rule}>\n{shown_table(self.measures)}\n{self.confusion.to_string()}"

    def _repr_html_(self) -> str:
        known = self.true_positives + self.false_positives
        numbers = [
            (f"{known + self.unlabelled:,}", "would match"),
            (f"{self.false_positives:,}", f"wrong, of {known:,} labelled"),
            (f"{self.false_negatives:,}", "missed"),
            (f"{self.unlabelled:,}", "matches with unknown outcome"),
        ]
        columns = ["id", "subject", "label"]
        missed, wrong = self.missed[[*columns, "distance", "in_the_way"]], self.wrong
        return page(
            figures(numbers),
            table(f"{self.rule}: 95 % intervals", self.measures),
            table("Labels against the rule", self.confusion.reset_index(names="")),
            table("Missed, nearest first", missed, _SHOWN) if len(missed) else "",
            table("Wrong", wrong[[*columns, "because"]], _SHOWN) if len(wrong) else "",
        )


def progress_of(scores: Mapping[str, Score]) -> PrecisionRecall:
    """Several versions of a rule as points of precision and recall, in the order of the mapping.

    Parameters
    ----------
    scores : mapping of str to Score
        By what the versions are called; of the same labels, else they say nothing about each other.

    Examples
    --------
    >>> progress_of({"subject only": first, "text, too": second})       # doctest: +SKIP
    """
    rows = {name: score.measures.set_index("measure") for name, score in scores.items()}
    return PrecisionRecall(
        pd.DataFrame(
            {
                f"{measure}{end}": {
                    name: float(table.at[measure, column])  # type: ignore[arg-type]
                    for name, table in rows.items()
                }
                for measure in ("precision", "recall")
                for end, column in (("", "value"), ("_low", "low"), ("_high", "high"))
            }
        )
    )


def _measure(name: str, hits: int, tries: int) -> dict[str, Any]:
    low, high = wilson(hits, tries)
    value = hits / tries if tries else np.nan
    return {"measure": name, "value": value, "low": low, "high": high, "of": tries}
