"""Two versions of rules on the same mails: what the new one gains, loses and does otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.frames import TRIAL_CHANGES, frame_of
from kolibri_sdk.lab.judge import label_values
from kolibri_sdk.lab.outcomes import VERDICTS, Outcomes
from kolibri_sdk.lab.tables import figures, page, shown_table, table
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import InboundRule

__all__ = ["Comparison", "Version"]

_SHOWN = 20

Bits = npt.NDArray[np.bool_]


class Version:
    """One side of a comparison: its rules, and what they said of the mails that both were asked."""

    def __init__(self, rules: tuple[InboundRule, ...], outcomes: Outcomes) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.outcomes = outcomes
        self._place = {rule.name: place for place, rule in enumerate(rules)}

    def verdicts(self, rule: str) -> npt.NDArray[np.uint8]:
        """What a rule said, mail by mail; no, where this version does not have it."""
        if rule not in self._place:
            mails = self.outcomes.verdicts.shape[1]
            return np.full(mails, VERDICTS.index(Verdict.NO), np.uint8)
        said: npt.NDArray[np.uint8] = self.outcomes.verdicts[self._place[rule]]
        return said

    def matches(self, rule: str) -> Bits:
        """Where a rule matches."""
        return np.equal(self.verdicts(rule), VERDICTS.index(Verdict.MATCH))

    def failed(self, rule: str) -> Bits:
        """Where a rule could not be decided."""
        if rule not in self._place:
            return np.zeros(self.outcomes.verdicts.shape[1], bool)
        failed: Bits = self.outcomes.failed[self._place[rule]]
        return failed

    def values(self, rule: str, mail: int) -> Mapping[str, Any]:
        """What the JavaScript of its actions gave for a mail that it matches."""
        return self.outcomes.values.get((self._place[rule], mail), {})

    def reason(self, rule: str, mail: int) -> str:
        """Why, where it is no plain yes or no."""
        if rule not in self._place:
            return ""
        why = int(self.outcomes.reasons[self._place[rule], mail])
        return self.outcomes.faults[why][0]


class Comparison:
    """What changes on these mails when the new version takes the place of the old one.

    Attributes
    ----------
    summary : DataFrame
        One row per rule; columns and dtypes as in ``kolibri_sdk.frames.TRIAL_CHANGES``.
    gained, lost, changed, new_errors, mended : DataFrame
        The mails: those that only the new version matches; that only the old one matches; that
        both match, with another action or another value; on which only the new one fails; on
        which only the old one failed. Beside the frame's own columns: ``rule``, ``was``, ``now``.

    Examples
    --------
    >>> draft = k.rules["vpn"].but(when="/vpn|tunnel/i.test(message.subject)")  # doctest: +SKIP
    >>> comparison = draft.backtest(mail).compare(k.rules["vpn"])    # doctest: +SKIP
    >>> comparison.lost[["subject", "was", "now"]]                   # doctest: +SKIP
    """

    def __init__(self, mails: pd.DataFrame, old: Version, new: Version) -> None:
        self._mails, self._old, self._new = mails, old, new
        if len(old.rules) == len(new.rules) == 1 and old.rules.keys() != new.rules.keys():
            raise ConfigurationError(
                f"{next(iter(old.rules))!r} and {next(iter(new.rules))!r} are two rules",
                "Two versions of a rule have one name; see .matrix() for rules against each other",
            )
        self._names = list(dict.fromkeys([*new.rules, *old.rules]))

    @cached_property
    def gained(self) -> pd.DataFrame:
        """Mails that only the new version matches."""
        return self._where(lambda rule: self._new.matches(rule) & ~self._old.matches(rule))

    @cached_property
    def lost(self) -> pd.DataFrame:
        """Mails that only the old version matches."""
        return self._where(lambda rule: self._old.matches(rule) & ~self._new.matches(rule))

    @cached_property
    def new_errors(self) -> pd.DataFrame:
        """Mails on which only the new version fails, with the ``reason``."""
        return self._where(lambda rule: self._new.failed(rule) & ~self._old.failed(rule))

    @cached_property
    def mended(self) -> pd.DataFrame:
        """Mails on which only the old version failed."""
        return self._where(lambda rule: self._old.failed(rule) & ~self._new.failed(rule))

    @cached_property
    def changed(self) -> pd.DataFrame:
        """Mails that both match, with other actions: ``values_was`` and ``values_now`` tell."""
        found = self._where(self._acts_otherwise)
        places = pd.Index(self._mails["id"]).get_indexer(pd.Index(found["id"]))
        for side, column in ((self._old, "values_was"), (self._new, "values_now")):
            told = [
                _told(side.rules[rule], side.values(rule, int(place)))
                for rule, place in zip(found["rule"], places, strict=True)
            ]
            found[column] = pd.Series(told, index=found.index, dtype="object")
        return found

    def by_label(self, label: Any) -> pd.DataFrame:
        """How many mails of each label are gained and lost: a row per rule and label.

        Parameters
        ----------
        label : str, Series or mapping
            As ``trial.score`` takes it; mails without one are counted under ``(none)``.
        """
        labels = label_values(self._mails, label).astype("object")
        known = labels.where(labels.notna(), "(none)")
        parts = [
            pd.DataFrame({"rule": some["rule"], "label": known.loc[some.index], "kind": kind})
            for kind, some in (("gained", self.gained), ("lost", self.lost))
        ]
        every = pd.concat(parts)
        counts = pd.crosstab([every["rule"], every["label"]], every["kind"])
        return counts.reindex(columns=["gained", "lost"], fill_value=0).reset_index()

    def _acts_otherwise(self, rule: str) -> Bits:
        both = self._old.matches(rule) & self._new.matches(rule)
        if not both.any():
            return both
        if self._old.rules[rule].then != self._new.rules[rule].then:
            return both
        for mail in np.flatnonzero(both):
            both[mail] = self._old.values(rule, int(mail)) != self._new.values(rule, int(mail))
        return both

    def _where(self, chosen: Any) -> pd.DataFrame:
        parts = []
        words = np.array([verdict.value for verdict in VERDICTS], dtype=object)
        for rule in self._names:
            here = chosen(rule)
            if not here.any():
                continue
            reasons = [self._new.reason(rule, int(mail)) for mail in np.flatnonzero(here)]
            parts.append(
                self._mails[here].assign(
                    rule=rule,
                    was=words[self._old.verdicts(rule)[here]],
                    now=words[self._new.verdicts(rule)[here]],
                    reason=reasons,
                )
            )
        none = self._mails.iloc[:0].assign(rule="", was="", now="", reason="")
        return pd.concat(parts) if parts else none

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per rule, those of the new version first."""
        kinds = ("gained", "lost", "changed", "new_errors", "mended")
        counts = {kind: getattr(self, kind)["rule"].value_counts() for kind in kinds}
        rows = []
        for rule in self._names:
            both = int((self._old.matches(rule) & self._new.matches(rule)).sum())
            row: dict[str, Any] = {kind: int(counts[kind].get(rule, 0)) for kind in kinds}
            row |= {"rule": rule, "same": both - row["changed"], "is": self._standing(rule)}
            rows.append(row)
        return frame_of(rows, TRIAL_CHANGES)

    def _standing(self, rule: str) -> str:
        if rule not in self._old.rules:
            return "new"
        if rule not in self._new.rules:
            return "gone"
        same = self._old.rules[rule].digest == self._new.rules[rule].digest
        return "as it was" if same else "edited"

    def __repr__(self) -> str:
        return f"<comparison on {len(self._mails):,} mails>\n{shown_table(self.summary)}"

    def _repr_html_(self) -> str:
        words = {
            "gained": "only the new version matches",
            "lost": "only the old version matches",
            "changed": "both match, and the action differs",
            "new_errors": "only the new version fails",
        }
        frames = {kind: getattr(self, kind) for kind in words}
        columns = ["id", "subject", "rule", "was", "now", "reason"]
        return page(
            figures((f"{len(frames[kind]):,}", text) for kind, text in words.items()),
            table("Rule by rule", self.summary),
            *(
                table(f"{kind}: {words[kind]}", frame[columns], _SHOWN)
                for kind, frame in frames.items()
                if len(frame)
            ),
        )


def _told(rule: InboundRule, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a match by what they are for, and the actions that take none."""
    steps = {str(step): action.kind for step, action in enumerate(rule.then)}
    told = {f"{step}.{kind}": None for step, kind in steps.items()}
    for path, value in values.items():
        step, _, rest = path.partition(".")
        told.pop(f"{step}.{steps[step]}", None)
        told[f"{step}.{steps[step]}.{rest.removeprefix('set.').removeprefix('with.')}"] = value
    return told
