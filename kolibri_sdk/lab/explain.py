"""Why a rule matches a mail, or does not: each leaf of its condition, and what it saw."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from kolibri_sdk.sandbox import Outcome, Part, Sandbox, Script

__all__ = ["Explanation", "Step", "explained"]

Outcomes = Literal["true", "false", "error", "not reached"]

_SIGNS = {"true": "✓", "false": "✗", "error": "⚠", "not reached": "·"}
_COLOURS = {"true": "#0e8a7d", "false": "#c4513d", "error": "#c98a1b", "not reached": "#757d86"}
_WORDS = {"and": "all of", "or": "any of", "not": "not", "if": "if, then, else"}
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of a condition, and what came of it on one mail.

    Attributes
    ----------
    kind : {"and", "or", "not", "if", "leaf", "opaque"}
        ``opaque`` is a leaf that cannot be looked into.
    text : str
        Its source.
    outcome : {"true", "false", "error", "not reached"}
        JavaScript does not look at what can no longer change the answer.
    told : str
        For a leaf: the value it gave, where that is neither true nor false, or its error.
    seen : tuple of (str, str)
        What it read, and the value of that.
    line, column : int
        Where it begins in the expression; of an error, where it arose.
    """

    kind: str
    text: str
    outcome: Outcomes
    line: int
    column: int
    told: str = ""
    seen: tuple[tuple[str, str], ...] = ()
    parts: tuple[Step, ...] = ()

    @property
    def leaves(self) -> tuple[Step, ...]:
        """All leaves below it, in their order; of a leaf, itself."""
        if not self.parts:
            return (self,)
        return tuple(leaf for part in self.parts for leaf in part.leaves)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule decided so on one mail; shows itself as a tree.

    Attributes
    ----------
    rule : str
        Its name.
    message : int
        The id of the mail.
    verdict : str
        What it said.
    reason : str
        Why, where that is no plain yes or no.
    tree : Step or None
        None where the condition cannot be compiled.
    """

    rule: str
    message: int
    subject: str
    verdict: str
    reason: str
    tree: Step | None

    def __repr__(self) -> str:
        return "\n".join([self._head(), *(line for line, _ in self._lines())])

    def _head(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f'{self.rule} on mail {self.message} "{_cut(self.subject)}": {self.verdict}{reason}'

    def _lines(self) -> Iterator[tuple[str, Step]]:
        if self.tree is not None:
            yield from _told(self.tree, 1)

    def _repr_html_(self) -> str:
        lines = "".join(
            f"<div style='color:{_COLOURS[step.outcome]};white-space:pre-wrap'>{escape(line)}</div>"
            for line, step in self._lines()
        )
        head = f"<div style='font-weight:600'>{escape(self._head())}</div>"
        return f"{head}<div style='font-family:monospace'>{lines}</div>"


def _told(step: Step, depth: int) -> Iterator[tuple[str, Step]]:
    indent = "  " * depth
    text = _WORDS.get(step.kind) or _cut(" ".join(step.text.split()))
    opaque = "  (cannot be split)" if step.kind == "opaque" else ""
    more = f"  {step.told}" if step.told else ""
    missed = "  (not reached)" if step.outcome == "not reached" else ""
    seen = "".join(f"\n{indent}      {name} = {value}" for name, value in step.seen)
    yield f"{indent}{_SIGNS[step.outcome]} {text}{opaque}{missed}{more}{seen}", step
    for part in step.parts:
        yield from _told(part, depth + 1)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def explained(tree: Part, variables: Mapping[str, Any], sandbox: Sandbox) -> Step:
    """Go through a condition as JavaScript does, leaf by leaf; no other leaf is evaluated."""
    return _Walk(variables, sandbox).step(tree)


class _Walk:
    """One mail's way through a condition."""

    def __init__(self, variables: Mapping[str, Any], sandbox: Sandbox) -> None:
        self._variables = variables
        self._sandbox = sandbox

    def step(self, part: Part) -> Step:
        if not part.parts:
            return self._leaf(part)
        if part.kind == "if":
            return self._choice(part)
        # && ends at the first false, || at the first true, ! has one part only
        last = {"and": "false", "or": "true"}.get(part.kind)
        steps: list[Step] = []
        outcome: Outcomes = "not reached"
        for inner in part.parts:
            if outcome in (last, "error"):
                steps.append(_unreached(inner))
                continue
            steps.append(self.step(inner))
            outcome = steps[-1].outcome
        if part.kind == "not" and outcome != "error":
            outcome = "false" if outcome == "true" else "true"
        return _joint(part, outcome, steps)

    def _choice(self, part: Part) -> Step:
        test, then, other = part.parts
        tested = self.step(test)
        if tested.outcome == "error":
            return _joint(part, "error", [tested, _unreached(then), _unreached(other)])
        if tested.outcome == "true":
            chosen = self.step(then)
            return _joint(part, chosen.outcome, [tested, chosen, _unreached(other)])
        chosen = self.step(other)
        return _joint(part, chosen.outcome, [tested, _unreached(then), chosen])

    def _leaf(self, part: Part) -> Step:
        scripts = [Script("truth", f"!!(\n{part.text}\n)"), Script("value", part.text, "value")]
        scripts += [Script(f"seen/{name}", name, "value") for name in part.seen]
        (said,) = self._sandbox.evaluate(scripts, [self._variables])
        truth, value = said["truth"], said["value"]
        seen = tuple((name, _shown(said[f"seen/{name}"])) for name in part.seen)
        if truth.status != "ok":
            line, column = _place(part, truth)
            return Step(part.kind, part.text, "error", line, column, truth.error, seen)
        plain = value.status == "ok" and isinstance(value.value, bool)
        told = "" if plain else f"gives {_shown(value)}"
        outcome: Outcomes = "true" if truth.value else "false"
        return Step(part.kind, part.text, outcome, part.line, part.column, told, seen)


def _joint(part: Part, outcome: Outcomes, steps: list[Step]) -> Step:
    return Step(part.kind, part.text, outcome, part.line, part.column, parts=tuple(steps))


def _unreached(part: Part) -> Step:
    inner = tuple(map(_unreached, part.parts))
    return Step(part.kind, part.text, "not reached", part.line, part.column, parts=inner)


def _shown(outcome: Outcome) -> str:
    if outcome.status != "ok":
        return f"({outcome.error})"
    if outcome.value is None:
        return "null"
    return _cut(json.dumps(outcome.value, ensure_ascii=False))


def _place(part: Part, outcome: Outcome) -> tuple[int, int]:
    """The place of an error in a leaf, told in the whole condition."""
    if outcome.line is None or outcome.column is None:
        return part.line, part.column
    line = outcome.line - 1  # it was put behind a line of ours
    column = outcome.column + (part.column - 1 if line == 1 else 0)
    return part.line + line - 1, column
