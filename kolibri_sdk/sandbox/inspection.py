"""Looking at expressions without running them: their leaves, and what is likely a mistake."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from kolibri_sdk.sandbox.child import Child, Failure
from kolibri_sdk.sandbox.values import Finding, Inspection, Part, Script

__all__ = ["inspect_scripts"]

_SECONDS = 5.0  # the analysis of a regular expression may take long
_PER_SCRIPT = 0.05


def inspect_scripts(
    child: Child, scripts: Sequence[Script], shapes: Mapping[str, Any]
) -> list[Inspection]:
    """Have the scripts looked at; one that ends the process shows nothing."""
    given = [{"source": script.source, "expects": script.expects} for script in scripts]
    request = json.dumps({"scripts": given, "shapes": dict(shapes)})
    try:
        replies = child.ask("inspect", request, _SECONDS + _PER_SCRIPT * len(scripts))
    except Failure:
        if len(scripts) == 1:
            return [Inspection()]
        return [one for script in scripts for one in inspect_scripts(child, [script], shapes)]
    return [
        _inspection(script.source, reply) for script, reply in zip(scripts, replies, strict=True)
    ]


def _inspection(source: str, reply: Mapping[str, Any]) -> Inspection:
    places = _Places(source)
    tree = _part(places, reply["tree"]) if reply["tree"] else None
    findings = [
        Finding(one["message"], one["mend"], *places.of(one["at"]), severity=one["severity"])
        for one in reply["findings"]
    ]
    return Inspection(tree, tuple(sorted(findings, key=lambda one: (one.line, one.column))))


def _part(places: _Places, given: Mapping[str, Any]) -> Part:
    line, column = places.of(given["start"])
    return Part(
        kind=given["kind"],
        text=places.text(given["start"], given["end"]),
        line=line,
        column=column,
        parts=tuple(_part(places, part) for part in given["parts"]),
        seen=tuple(given.get("seen", ())),
    )


class _Places:
    """Offsets of JavaScript, which counts UTF-16 units, as lines and columns from 1."""

    def __init__(self, source: str) -> None:
        self._units = source.encode("utf-16-le", "surrogatepass")
        self._starts = [0]
        for place, unit in enumerate(memoryview(self._units).cast("H")):
            if unit in (0x0A, 0x2028, 0x2029):
                self._starts.append(place + 1)

    def of(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def text(self, start: int, end: int) -> str:
        return self._units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")
