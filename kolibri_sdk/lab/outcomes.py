"""What rules said of mails, in columns: a byte per verdict, so that millions of them fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.model.rule import InboundRule

__all__ = ["FAILED", "VERDICTS", "Outcomes"]

VERDICTS = tuple(Verdict)
_CODE = {verdict: code for code, verdict in enumerate(VERDICTS)}
FAILED = tuple(_CODE[verdict] for verdict in (Verdict.ERROR, Verdict.TIMEOUT, Verdict.CRASH))

Fault = tuple[str, int | None, int | None]  # reason, line, column


class Outcomes:
    """The decisions of some rules on some mails.

    Attributes
    ----------
    verdicts : ndarray of uint8, rules × mails
        Places in `VERDICTS`.
    reasons : ndarray of int32, rules × mails
        Places in ``faults``; 0 is none.
    micros : ndarray of float32, rules × mails
        NaN where the rule was skipped.
    values : dict
        Of a match, by the places of rule and mail: what the JavaScript of its actions gave.
    """

    def __init__(self, rules: Sequence[InboundRule], mails: int) -> None:
        shape = (len(rules), mails)
        self.verdicts: npt.NDArray[np.uint8] = np.full(shape, _CODE[Verdict.NO], np.uint8)
        self.reasons: npt.NDArray[np.int32] = np.zeros(shape, np.int32)
        self.micros: npt.NDArray[np.float32] = np.full(shape, np.nan, np.float32)
        self.values: dict[tuple[int, int], Mapping[str, Any]] = {}
        self.faults: list[Fault] = [("", None, None)]
        self._known: dict[Fault, int] = {self.faults[0]: 0}

    def take(self, start: int, decided: Sequence[Said]) -> None:
        """Enter what was said of the mails from this place on."""
        same: dict[int, tuple[Said, list[int]]] = {}
        for place, said in enumerate(decided, start):
            same.setdefault(id(said), (said, []))[1].append(place)
        for said, places in same.values():
            verdicts, reasons, micros = zip(*map(self._cell, said), strict=True)
            self.verdicts[:, places] = np.array(verdicts, np.uint8)[:, None]
            self.reasons[:, places] = np.array(reasons, np.int32)[:, None]
            self.micros[:, places] = np.array(micros, np.float32)[:, None]
            if said.matches:
                for rule, decision in enumerate(said):
                    if decision.values:
                        self.values |= {(rule, place): decision.values for place in places}

    def _cell(self, decision: Decision) -> tuple[int, int, float]:
        fault = (decision.reason, decision.line, decision.column)
        if fault not in self._known:
            self._known[fault] = len(self.faults)
            self.faults.append(fault)
        skipped = decision.verdict is Verdict.SKIPPED
        micros = np.nan if skipped else decision.micros
        return _CODE[decision.verdict], self._known[fault], micros

    def are(self, verdict: Verdict) -> npt.NDArray[np.bool_]:
        """Where the verdict is this one, rules × mails."""
        return np.equal(self.verdicts, _CODE[verdict])

    def matching(self, mail: int) -> list[int]:
        """The places of the rules that match the mail at this place."""
        here = self.verdicts[:, mail] == _CODE[Verdict.MATCH]
        return [int(rule) for rule in np.flatnonzero(here)]

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Where a rule could not be decided, rules × mails."""
        return np.isin(self.verdicts, FAILED)
