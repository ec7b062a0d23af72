"""Gates: what a trial must come to; each says what was wanted and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import GATES, frame_of
from kolibri_sdk.lab.compare import Comparison
from kolibri_sdk.lab.judge import label_values
from kolibri_sdk.lab.plan import most_in_an_hour
from kolibri_sdk.lab.tables import figures, page, shown_table, table
from kolibri_sdk.lab.trial import Trial
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.gates import Gates

__all__ = ["GateReport", "check_gates"]

Labels = Mapping[str, tuple[Any, Any]]  # by rule: labels as `Trial.score` takes them, and positive
Row = dict[str, Any]
_NO_LABELS = "no labels were given; say labels: in gates.yaml, or labels="
_NOTHING_BEFORE = "there is nothing to compare with; say against= (--against)"
_SHOWN = 5


class GateReport:
    """Every gate with what was wanted and found.

    Attributes
    ----------
    frame : DataFrame
        One row per gate and rule; columns and dtypes as in ``kolibri_sdk.frames.GATES``.
    trial : Trial
        What was looked at.
    comparison : Comparison or None
        With the version it was compared with.
    """

    def __init__(self, rows: Iterable[Row], trial: Trial, comparison: Comparison | None) -> None:
        self.frame = frame_of(rows, GATES)
        self.trial = trial
        self.comparison = comparison

    @property
    def ok(self) -> bool:
        """Whether all gates are passed."""
        return bool(self.frame["passed"].all())

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types, as a proof keeps it."""
        rows = self.frame.astype("object").where(self.frame.notna(), None)
        return {"passed": self.ok, "gates": rows.to_dict("records")}

    def __repr__(self) -> str:
        failed = int((~self.frame["passed"]).sum())
        head = f"{failed} of {len(self.frame)} gates FAILED" if failed else "All gates are passed"
        return f"{head}\n{shown_table(self.frame)}" if len(self.frame) else "No gate was asked for"

    def _repr_html_(self) -> str:
        failed = int((~self.frame["passed"]).sum())
        words = f"of {len(self.frame)} gates failed"
        shown = self.frame.assign(passed=self.frame["passed"].map({True: "✓", False: "✗"}))
        return page(figures([(str(failed), words)]), table("Gates", shown))


def check_gates(
    trial: Trial, gates: Gates, before: Trial | None = None, labels: Labels | None = None
) -> GateReport:
    """Ask a trial for everything that the gates want; what cannot be said is not passed.

    Parameters
    ----------
    before : Trial, optional
        Of the version to compare with, on the same mails.
    labels : mapping, optional
        By rule, the labels and those that it should match.
    """
    comparison = trial.compare(before) if before is not None else None
    rows = _Gates(trial, gates, before, comparison, labels or {}).rows()
    return GateReport(rows, trial, comparison)


class _Gates:
    def __init__(
        self,
        trial: Trial,
        gates: Gates,
        before: Trial | None,
        comparison: Comparison | None,
        labels: Labels,
    ) -> None:
        self.trial, self.gates, self.before = trial, gates, before
        self.comparison = comparison
        self.labels = {name: given for name, given in labels.items() if self._has(name)}

    def _has(self, rule: str) -> bool:
        return any(one.name == rule for one in self.trial.rules)

    def rows(self) -> Iterator[Row]:
        """In the order of the fields of `Gates`."""
        wanted = self.gates
        if wanted.min_mails is not None:
            yield _least("min_mails", wanted.min_mails, len(self.trial.mails))
        yield from self._failures()
        yield from self._losses()
        for name, limit in (
            ("min_precision", wanted.min_precision), ("min_recall", wanted.min_recall),
        ):  # fmt: skip
            if limit is not None:
                yield from self._judged(name, limit)
        yield from self._matches()
        yield from self._plan()

    def _failures(self) -> Iterator[Row]:
        failed = self.trial.outcomes.failed
        if self.gates.errors is not None:
            mails = self.trial.mails["id"].to_numpy()[failed.any(axis=0)]
            yield _most("errors", self.gates.errors, int(failed.sum()), _some(mails))
        if self.gates.new_errors is not None:
            number, mails = int(failed.sum()), self.trial.mails["id"].to_numpy()[failed.any(axis=0)]
            if self.comparison is not None:
                new = self.comparison.new_errors
                number, mails = len(new), new["id"].to_numpy()
            yield _most("new_errors", self.gates.new_errors, number, _some(mails))

    def _losses(self) -> Iterator[Row]:
        if self.gates.lost is not None:
            if self.comparison is None:
                yield _unsaid("lost", f"<= {self.gates.lost}", _NOTHING_BEFORE)
            else:
                lost = self.comparison.lost
                yield _most("lost", self.gates.lost, len(lost), _some(lost["id"]))
        limit = self.gates.lost_labelled
        if limit is None:
            return
        if self.comparison is None or not self.labels:
            why = _NO_LABELS if self.comparison is not None else _NOTHING_BEFORE
            yield _unsaid("lost_labelled", f"<= {limit}", why)
            return
        for rule, (labels, positive) in self.labels.items():
            chosen = positive if isinstance(positive, list | tuple | set) else [positive]
            values = label_values(self.trial.mails, labels)
            right = set(self.trial.mails["id"][values.isin(list(chosen)).to_numpy(bool)])
            lost = self.comparison.lost
            mails = [one for one in lost["id"][lost["rule"] == rule] if one in right]
            yield _most("lost_labelled", limit, len(mails), _some(mails), rule)

    def _judged(self, name: str, limit: float) -> Iterator[Row]:
        if not self.labels:
            yield _unsaid(name, f">= {limit}", _NO_LABELS)
        for rule, (labels, positive) in self.labels.items():
            try:
                score = self.trial.score(labels, positive, rule)
            except ConfigurationError as error:
                yield _unsaid(name, f">= {limit}", str(error), rule)
                continue
            found = getattr(score, name.removeprefix("min_"))
            if np.isnan(found):
                yield _unsaid(name, f">= {limit}", "no labelled mail to say it by", rule)
            else:
                yield _least(name, limit, found, rule=rule)

    def _matches(self) -> Iterator[Row]:
        matches = self.trial.outcomes.are(Verdict.MATCH).sum(axis=1)
        for rule, number in zip(self.trial.rules, matches, strict=True):
            if self.gates.min_matches is not None:
                yield _least("min_matches", self.gates.min_matches, int(number), rule=rule.name)
            if self.gates.max_match_rate is not None:
                rate = float(number) / max(len(self.trial.mails), 1)
                yield _most("max_match_rate", self.gates.max_match_rate, rate, rule=rule.name)

    def _plan(self) -> Iterator[Row]:
        wanted = self.gates
        limits = (
            wanted.max_actions_per_hour, wanted.max_mails_per_hour, wanted.max_failing_mails,
        )  # fmt: skip
        if all(limit is None for limit in limits):
            return
        plan = self.trial.plan()
        if wanted.max_actions_per_hour is not None:
            sound = plan.effects[plan.effects["error"] == ""]
            found = most_in_an_hour(_by_recipient(sound))
            yield _most("max_actions_per_hour", wanted.max_actions_per_hour, found)
        if wanted.max_mails_per_hour is not None:
            found = most_in_an_hour(_by_recipient(plan.mails))
            yield _most("max_mails_per_hour", wanted.max_mails_per_hour, found)
        if wanted.max_failing_mails is not None:
            failed = plan.failures
            told = f"{_some(failed['message'])}: {failed['error'].iloc[0]}" if len(failed) else ""
            yield _most("max_failing_mails", wanted.max_failing_mails, len(failed), told)


def _by_recipient(effects: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """The time of each effect; that of a mail once for each recipient."""
    counts = [len(to) if isinstance(to, list) else 1 for to in effects["to"]]
    return effects["received_at"].repeat(counts)


def _some(mails: Iterable[Any]) -> str:
    numbers = [str(one) for one in mails]
    more = " …" if len(numbers) > _SHOWN else ""
    return f"mails {', '.join(numbers[:_SHOWN])}{more}" if numbers else ""


def _most(gate: str, limit: float, found: float, told: str = "", rule: str | None = None) -> Row:
    return _row(gate, rule, f"<= {limit}", found, found <= limit, told)


def _least(gate: str, limit: float, found: float, rule: str | None = None) -> Row:
    return _row(gate, rule, f">= {limit}", found, found >= limit, "")


def _unsaid(gate: str, wanted: str, why: str, rule: str | None = None) -> Row:
    return _row(gate, rule, wanted, None, False, why)


def _row(
    gate: str, rule: str | None, wanted: str, found: float | None, passed: bool, told: str
) -> Row:
    return {
        "gate": gate, "rule": rule, "wanted": wanted, "found": found, "passed": bool(passed),
        "told": "" if passed else told,
    }  # fmt: skip
