"""V8 in the worker process: hardened once, then fed with batches."""

from __future__ import annotations

import json
from typing import Any

from py_mini_racer import JSParseException, MiniRacer

from kolibri_sdk.sandbox.bundle import ANALYSIS, PRELUDE

__all__ = ["JavaScript"]


class JavaScript:
    """One isolate with the prelude in it; it answers ``prepare``, ``decide`` and ``inspect``."""

    def __init__(self) -> None:
        self._v8 = MiniRacer()
        self._v8.eval(PRELUDE.read_text(encoding="utf-8"))
        self._prepare: Any = self._v8.eval("prepare")
        self._decide: Any = self._v8.eval("decide")
        # Read now, since later no file can be opened; compiled when it is first asked for.
        self._analysis = ANALYSIS.read_text(encoding="utf-8")
        self._inspect: Any = None

    def answer(self, operation: str, payload: str) -> str:
        """Take and give JSON; the payload of ``decide`` is not looked into on this side of V8."""
        if operation == "prepare":
            faults = json.loads(self._prepare(payload))
            return json.dumps([fault and self._placed(fault) for fault in faults])
        if operation == "inspect":
            if self._inspect is None:
                self._v8.eval(self._analysis)
                self._inspect = self._v8.eval("inspect")
            found: str = self._inspect(payload)
            return found
        reply: str = self._decide(payload)
        # Promise jobs run after the call has returned; an endless chain of them would otherwise
        # be blamed on the next batch.
        self._v8.eval("0")
        return reply

    def _placed(self, fault: dict[str, Any]) -> dict[str, Any]:
        """Add line and column: V8 tells them only for text that it fails to parse at top level.

        The prelude has seen the parser refuse this very text, so nothing of it can run.
        """
        probe = fault.pop("probe", None)
        if probe is None:
            return fault
        try:
            self._v8.eval(f'"use strict";throw 0;{probe}'.encode(errors="replace").decode())
        except JSParseException as error:
            lines = str(error).split("\n")
            fault["line"] = int(lines[0].split(":")[1]) - 1
            fault["column"] = lines[2].index("^") + 1
            _keep_inside(fault, probe.split("\n")[1:-1])
        return fault


def _keep_inside(fault: dict[str, Any], source: list[str]) -> None:
    """What is missing at the end is found at our closing bracket: point at the source's end."""
    if fault["line"] > len(source):
        fault["line"], fault["column"] = len(source), len(source[-1]) + 1
        fault["message"] = "SyntaxError: the expression ends too early"
