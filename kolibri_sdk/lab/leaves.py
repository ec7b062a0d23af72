"""The leaves of a condition on many mails at once, and how far each mail is from matching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from kolibri_sdk.frames import messages_of
from kolibri_sdk.lab.mails import subject_of
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.sandbox import Part, Sandbox, Script

__all__ = ["Leaves"]

_CHUNK = 1000

Counts = npt.NDArray[np.int32]


class Leaves:
    """Which leaves of a condition hold on which mails; one that fails does not hold.

    Unlike an explanation this looks at leaves that JavaScript would not reach: a near miss is
    told by all that keeps it from matching.

    Attributes
    ----------
    holds : ndarray of bool, leaves × mails
    """

    def __init__(
        self, tree: Part, mails: pd.DataFrame, sandbox: Sandbox, surroundings: Surroundings
    ) -> None:
        self.tree = tree
        self.leaves = tree.leaves
        scripts = [Script(str(i), f"!!(\n{one.text}\n)") for i, one in enumerate(self.leaves)]
        self.holds = np.zeros((len(scripts), len(mails)), bool)
        for start in range(0, len(mails), _CHUNK):
            some = messages_of(mails.iloc[start : start + _CHUNK])
            variables = [subject_of(mail, surroundings).variables() for mail in some]
            for place, said in enumerate(sandbox.evaluate(scripts, variables), start):
                self.holds[:, place] = [said[script.id].value is True for script in scripts]

    @property
    def distance(self) -> Counts:
        """By mail, how many leaves would have to come out otherwise for the condition to hold."""
        return self._cost(self.tree, iter(range(len(self.leaves))))[0]

    @property
    def margin(self) -> Counts:
        """By mail, how many leaves would have to come out otherwise for it not to hold."""
        return self._cost(self.tree, iter(range(len(self.leaves))))[1]

    def _cost(self, part: Part, number: Iterator[int]) -> tuple[Counts, Counts]:
        """What it takes, leaf by leaf, to make this piece true, and to make it false."""
        if not part.parts:
            holds = self.holds[next(number)]
            return (~holds).astype(np.int32), holds.astype(np.int32)
        costs = [self._cost(one, number) for one in part.parts]
        true, false = [one for one, _ in costs], [one for _, one in costs]
        if part.kind == "and":
            return _sum(true), _least(false)
        if part.kind == "or":
            return _least(true), _sum(false)
        if part.kind == "not":
            return false[0], true[0]
        return (
            np.minimum(true[0] + true[1], false[0] + true[2]),
            np.minimum(true[0] + false[1], false[0] + false[2]),
        )

    def in_the_way(self, mail: int) -> list[str]:
        """The leaves that keep this mail from matching, on the shortest way."""
        return _Way(self, mail).flips(self.tree, wanted=True)

    def in_favour(self, mail: int) -> list[str]:
        """The leaves by which this mail matches."""
        return _Way(self, mail).reasons(self.tree, wanted=True)


class _Way:
    """One mail: which leaves decide."""

    def __init__(self, leaves: Leaves, mail: int) -> None:
        self._holds = dict(zip(map(id, leaves.leaves), leaves.holds[:, mail], strict=True))

    def true(self, part: Part) -> bool:
        if not part.parts:
            return bool(self._holds[id(part)])
        if part.kind == "and":
            return all(map(self.true, part.parts))
        if part.kind == "or":
            return any(map(self.true, part.parts))
        if part.kind == "not":
            return not self.true(part.parts[0])
        return self.true(part.parts[1] if self.true(part.parts[0]) else part.parts[2])

    def flips(self, part: Part, *, wanted: bool) -> list[str]:
        """The fewest leaves that would have to change for this piece to come out as wanted."""
        if self.true(part) == wanted:
            return []
        if not part.parts:
            return [part.text if wanted else f"!({part.text})"]
        if part.kind == "not":
            return self.flips(part.parts[0], wanted=not wanted)
        if part.kind == "if":
            test, then, other = part.parts
            ways = [
                self.flips(test, wanted=True) + self.flips(then, wanted=wanted),
                self.flips(test, wanted=False) + self.flips(other, wanted=wanted),
            ]
            return min(ways, key=len)
        ways = [self.flips(one, wanted=wanted) for one in part.parts]
        if (part.kind == "and") == wanted:
            return [one for way in ways for one in way]
        return min(ways, key=len)

    def reasons(self, part: Part, *, wanted: bool) -> list[str]:
        """The leaves that make this piece come out as it does."""
        if self.true(part) != wanted:
            return []
        if not part.parts:
            return [part.text if wanted else f"!({part.text})"]
        if part.kind == "not":
            return self.reasons(part.parts[0], wanted=not wanted)
        if part.kind == "if":
            test, then, other = part.parts
            held = self.true(test)
            rest = self.reasons(then if held else other, wanted=wanted)
            return self.reasons(test, wanted=held) + rest
        return [one for inner in part.parts for one in self.reasons(inner, wanted=wanted)]


def _sum(costs: Sequence[Counts]) -> Counts:
    total: Counts = np.sum(costs, axis=0, dtype=np.int32)
    return total


def _least(costs: Sequence[Counts]) -> Counts:
    least: Counts = np.min(costs, axis=0)
    return least
