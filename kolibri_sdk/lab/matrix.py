"""A set of rules against itself: who overlaps, conflicts with, shadows, or adds nothing to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kolibri_sdk.frames import TRIAL_MATRIX, TRIAL_PAIRS, frame_of
from kolibri_sdk.lab.outcomes import Outcomes
from kolibri_sdk.lab.pictures import HeatMap
from kolibri_sdk.lab.tables import page, shown_table, table
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import InboundRule, RuleState

__all__ = ["Matrix"]

Bits = npt.NDArray[np.bool_]
Packed = npt.NDArray[np.uint64]

_REPLACEABLE = ("update_record", "add_note")  # doing it twice alike is doing it once


class Matrix:
    """Rules × rules over the mails of a trial.

    Attributes
    ----------
    rules : DataFrame
        One row per rule; columns and dtypes as in ``kolibri_sdk.frames.TRIAL_MATRIX``.
    pairs : DataFrame
        One row per pair that meets; columns and dtypes as in ``kolibri_sdk.frames.TRIAL_PAIRS``.

    Parameters
    ----------
    outcomes : Outcomes
        As production decides.
    free : ndarray of bool, rules × mails
        What each rule would match if no rule ever said stop.
    """

    def __init__(self, rules: Sequence[InboundRule], outcomes: Outcomes, free: Bits) -> None:
        self._rules = rules
        self._outcomes = outcomes
        self._matches = outcomes.are(Verdict.MATCH)
        self._free = free
        self._packed = _pack(self._matches)
        count = self._matches.sum(axis=0, dtype=np.uint16)
        self._count = count
        self._conflicting: dict[tuple[int, int], set[int]] = _conflicts(
            rules, outcomes, self._matches, np.flatnonzero(count > 1)
        )

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """How many mails two rules both match; on the diagonal, what each matches."""
        names = [rule.name for rule in self._rules]
        return pd.DataFrame(_both(self._packed), index=names, columns=names)

    @cached_property
    def _stopped(self) -> list[Counter[int]]:
        """By rule: which rules' stop kept it from mails that it would match, and how often."""
        kept: list[Counter[int]] = [Counter() for _ in self._rules]
        skipped = self._outcomes.are(Verdict.SKIPPED) & self._free
        if not skipped.any():
            return kept
        place = {rule.name: number for number, rule in enumerate(self._rules)}
        by = np.array(
            [place.get(why.removeprefix("stopped by "), -1) for why, _, _ in self._outcomes.faults]
        )
        for number in range(len(self._rules)):
            stoppers = by[self._outcomes.reasons[number][skipped[number]]]
            kept[number].update(int(one) for one in stoppers)
        return kept

    @cached_property
    def rules(self) -> pd.DataFrame:
        """One row per rule, in their order."""
        matches, mails = self._matches, self._matches.shape[1]
        alone = matches & (self._count == 1)
        hidden = self._shadowing()
        rows = []
        for number, rule in enumerate(self._rules):
            total, single = int(matches[number].sum()), int(alone[number].sum())
            conflicts = set().union(
                *(on for pair, on in self._conflicting.items() if number in pair)
            )
            stoppers = self._stopped[number]
            rows.append(
                {
                    "rule": rule.name,
                    "matches": total,
                    "coverage": total / mails if mails else np.nan,
                    "alone": single,
                    "overlap": total - single,
                    "conflicts": len(conflicts),
                    "shadowed": stoppers.total(),
                    "shadowed_by": ", ".join(
                        f"{self._rules[by].name} ({times:,})"
                        for by, times in stoppers.most_common()
                    ),
                    "shadows": int(hidden[number].sum()),
                    "never_fires": total == 0,
                    "order_sensitive": bool(conflicts or stoppers.total() or hidden[number].any()),
                    "marginal": self._marginal(number, alone[number], hidden[number]),
                }
            )
        return frame_of(rows, TRIAL_MATRIX)

    def _shadowing(self) -> Bits:
        """By rule, the mails on which its stop keeps a later rule that would match from them."""
        hidden = np.zeros_like(self._matches)
        kept = (self._outcomes.are(Verdict.SKIPPED) & self._free).any(axis=0)
        for number, rule in enumerate(self._rules):
            if rule.stop:
                hidden[number] = self._matches[number] & kept
        return hidden

    def _marginal(self, number: int, alone: Bits, hidden: Bits) -> int:
        rule = self._rules[number]
        if rule.state is RuleState.SHADOW:
            return 0
        changed = alone | hidden
        shared = np.flatnonzero(self._matches[number] & ~changed)
        if rule.then and len(shared):
            if any(action.kind not in _REPLACEABLE for action in rule.then):
                return int(changed.sum()) + len(shared)
            changed = changed.copy()
            changed[[mail for mail in shared if self._adds(number, int(mail))]] = True
        return int(changed.sum())

    def _adds(self, number: int, mail: int) -> bool:
        """Whether it does something to this mail that no other rule does just so."""
        others = (other for other in self._outcomes.matching(mail) if other != number)
        done = {
            one for other in others for one in _effects(self._rules, self._outcomes, other, mail)
        }
        return not _effects(self._rules, self._outcomes, number, mail) <= done

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row per pair of rules that meet on a mail, the most frequent first."""
        both = _both(_pack(self._free))
        rows = [
            {
                "rule": self._rules[one].name,
                "other": self._rules[two].name,
                "both": int(both[one, two]),
                "conflicts": len(self._conflicting.get((one, two), ())),
                "shadowed": self._stopped[two][one],
            }
            for one, two in zip(*np.nonzero(np.triu(both, 1)), strict=True)
        ]
        rows.sort(key=lambda row: -row["both"])
        return frame_of(rows, TRIAL_PAIRS)

    def plot(self) -> HeatMap:
        """The overlap as a picture: of each rule's matches, the share that another one has too."""
        return HeatMap(self.overlap)

    def __repr__(self) -> str:
        return shown_table(self.rules)

    def _repr_html_(self) -> str:
        return page(
            table("Rules against each other", self.rules),
            table("Pairs that meet", self.pairs) if len(self.pairs) else "",
        )


def _pack(matches: Bits) -> Packed:
    """A bit per mail, in words of 64."""
    padded = np.zeros((matches.shape[0], -(-matches.shape[1] // 64) * 64), bool)
    padded[:, : matches.shape[1]] = matches
    return np.packbits(padded, axis=1).view(np.uint64)


def _both(packed: Packed) -> npt.NDArray[np.int64]:
    """How many bits two rows share, for all pairs."""
    rules = len(packed)
    both = np.zeros((rules, rules), np.int64)
    for one in range(rules):
        shared = np.bitwise_count(packed[one:] & packed[one]).sum(axis=1, dtype=np.int64)
        both[one, one:] = both[one:, one] = shared
    return both


def _effects(
    rules: Sequence[InboundRule], outcomes: Outcomes, number: int, mail: int
) -> set[tuple[str, str]]:
    """What a rule does to the record of a mail, so that it can be compared."""
    values = outcomes.values.get((number, mail), {})
    found = set()
    for path, value in values.items():
        step, _, rest = path.partition(".")
        found.add((f"{rules[number].then[int(step)].kind} {rest}", repr(value)))
    return found


def _conflicts(
    rules: Sequence[InboundRule], outcomes: Outcomes, matches: Bits, shared: Iterable[Any]
) -> dict[tuple[int, int], set[int]]:
    """Mails on which two rules make a record each, or set one field to different values."""
    fields = [_fields(rule) for rule in rules]
    makes = [any(action.create_record for action in rule.then) for rule in rules]
    acts = [rule.state is not RuleState.SHADOW for rule in rules]
    found: dict[tuple[int, int], set[int]] = {}
    places = np.asarray(list(shared), dtype=np.intp)
    for one in range(len(rules)):
        for two in range(one + 1, len(rules)):
            common = fields[one].keys() & fields[two].keys()
            if not (acts[one] and acts[two] and (common or (makes[one] and makes[two]))):
                continue
            for mail in places[matches[one, places] & matches[two, places]]:
                mine = outcomes.values.get((one, int(mail)), {})
                other = outcomes.values.get((two, int(mail)), {})
                if (makes[one] and makes[two]) or any(
                    mine.get(fields[one][name]) != other.get(fields[two][name]) for name in common
                ):
                    found.setdefault((one, two), set()).add(int(mail))
    return found


def _fields(rule: InboundRule) -> dict[str, str]:
    """The fields that a rule changes on the record of the mail, and where their values are."""
    return {
        name: f"{step}.set.{name}"
        for step, action in enumerate(rule.then)
        if action.update_record
        for name in action.update_record.set
    }
