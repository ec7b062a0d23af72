"""One call of ``Sandbox.evaluate``: batches, and the hunt for the pairs that kill."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kolibri_sdk import clock
from kolibri_sdk.sandbox.child import Child, Failure
from kolibri_sdk.sandbox.values import Outcome, Script, Status

__all__ = ["Evaluation", "find_faults"]

_MOST_KILLS = 3  # inputs in which a script may take the process down before it is given up
_BATCH_CHARACTERS = 8_000_000
_COMPILING = 0.005  # seconds that one script may add to the deadline, ten times what it takes
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """arguments await break case catch class const continue debugger default delete do else
        enum eval export extends false finally for function if implements import in instanceof
        interface let new null package private protected public return static super switch this
        throw true try typeof var void while with yield""",
    )
)

Row = tuple[int, str]  # index of an input, and its JSON


def _prepare(child: Child, scripts: Sequence[Script]) -> list[Any]:
    """Have the scripts compiled; what comes back is the fault of each, or None."""
    given = [{"id": s.id, "source": s.source, "expects": s.expects} for s in scripts]
    seconds = child.deadline + _COMPILING * len(scripts)
    replies: list[Any] = child.ask("prepare", json.dumps(given), seconds)
    return replies


def find_faults(child: Child, scripts: Sequence[Script]) -> dict[str, Outcome]:
    """The scripts that cannot be compiled, by id; where one kills the compiler, one by one."""
    try:
        replies = _prepare(child, scripts)
    except Failure as failure:
        if len(scripts) == 1:
            reason = f"cannot be compiled: {failure.reason}"
            return {scripts[0].id: Outcome(failure.status, error=reason)}
        return {id_: o for script in scripts for id_, o in find_faults(child, [script]).items()}
    return {
        script.id: Outcome(
            "error", error=reply["message"], line=reply.get("line"), column=reply.get("column")
        )
        for script, reply in zip(scripts, replies, strict=True)
        if reply is not None
    }


class Evaluation:
    """Some scripts over many inputs in one child.

    A batch that fails is done again input by input, an input that fails script by script; what
    fails alone is guilty. All others so get the outcome that they would have had without it.

    Parameters
    ----------
    child : Child
        Does the work.
    scripts : sequence of Script
        Compilable ones only.
    size : int
        Inputs per batch at most; fewer where they are large or slow.
    """

    def __init__(self, child: Child, scripts: Sequence[Script], *, size: int) -> None:
        self._child = child
        self._scripts = scripts
        self._ids = [script.id for script in scripts]
        self._most = size
        self._size = size
        self._prepared = 0
        self._fresh = False
        self._kills: Counter[int] = Counter()
        self._last_kill: dict[int, Status] = {}
        self._wanted: Sequence[Collection[str]] | None = None
        self._outcomes: list[dict[str, Outcome]] = []

    def run(
        self, inputs: Sequence[Mapping[str, Any]], wanted: Sequence[Collection[str]] | None
    ) -> list[dict[str, Outcome]]:
        """One dict per input: script id to outcome."""
        self._wanted = wanted
        self._outcomes = [{} for _ in inputs]
        everything = range(len(self._scripts))
        for rows in self._batches(inputs):
            self._decide(rows, everything)
        return self._outcomes

    def _batches(self, inputs: Sequence[Mapping[str, Any]]) -> Iterator[list[Row]]:
        rows: list[Row] = []
        characters = 0
        for index, text in enumerate(_as_json(inputs)):
            rows.append((index, text))
            characters += len(text)
            if len(rows) >= self._size or characters >= _BATCH_CHARACTERS:
                yield rows
                rows, characters = [], 0
        if rows:
            yield rows

    def _decide(self, rows: Sequence[Row], scripts: Sequence[int]) -> None:
        """Decide these inputs by these scripts; what kills the process is found and named."""
        pairs = [self._pairs(index, scripts) for index, _ in rows]
        if not any(pairs):
            return
        try:
            reply = self._ask(rows, pairs)
        except Failure as failure:
            if len(rows) > 1:
                for row in rows:
                    self._decide([row], scripts)
            elif len(pairs[0]) > 1:
                for script in pairs[0]:
                    self._decide(rows, [script])
            elif failure.status == "crash" and not self._fresh:
                self._decide(rows, scripts)  # what ran before may have used up the memory
            else:
                self._condemn(rows[0][0], pairs[0][0], failure)
        else:
            self._take(rows, reply)

    def _pairs(self, index: int, scripts: Sequence[int]) -> Sequence[int]:
        """Which of the scripts are to be run on this input."""
        if self._wanted is not None:
            ids = self._wanted[index]
            scripts = [script for script in scripts if self._ids[script] in ids]
        if not self._kills:
            return scripts
        return [script for script in scripts if not self._given_up(index, script)]

    def _given_up(self, index: int, script: int) -> bool:
        if self._kills[script] < _MOST_KILLS:
            return False
        reason = f"not tried again after {_MOST_KILLS} inputs that each ended the sandbox process"
        status = self._last_kill[script]
        self._outcomes[index].setdefault(self._ids[script], Outcome(status, error=reason))
        return True

    def _condemn(self, index: int, script: int, failure: Failure) -> None:
        self._kills[script] += 1
        self._last_kill[script] = failure.status
        self._outcomes[index][self._ids[script]] = Outcome(failure.status, error=failure.reason)

    def _ask(self, rows: Sequence[Row], pairs: Sequence[Sequence[int]]) -> list[Any]:
        self._fresh = self._child.ensure() != self._prepared
        if self._fresh:
            _prepare(self._child, self._scripts)
            self._prepared = self._child.starts
        everything = all(len(scripts) == len(self._scripts) for scripts in pairs)
        wanted = "null" if everything else json.dumps([list(scripts) for scripts in pairs])
        inputs = ",".join(text for _, text in rows)
        elapsed = clock.stopwatch()
        reply: list[Any] = self._child.ask("decide", f'{{"inputs":[{inputs}],"wanted":{wanted}}}')
        self._set_pace(elapsed() / len(rows))
        return reply

    def _set_pace(self, seconds_per_input: float) -> None:
        """Keep a batch well under its deadline, so that slow scripts are not taken for hanging."""
        fitting = int(self._child.deadline / 4 / seconds_per_input)
        self._size = max(1, min(self._most, fitting))

    def _take(self, rows: Sequence[Row], reply: Sequence[Any]) -> None:
        columns = [_column(*answer) for answer in reply]
        for (index, _), outcomes in zip(rows, zip(*columns, strict=True), strict=True):
            found = zip(self._ids, outcomes, strict=True)
            self._outcomes[index].update(pair for pair in found if pair[1] is not None)


def _column(codes: str, mean: float, details: Sequence[Mapping[str, Any]]) -> list[Outcome | None]:
    """One script's outcomes over a batch: ``1``, ``0``, ``.`` not wanted, ``x`` see details."""
    micros = mean * 1000.0
    plain = {
        "1": Outcome("ok", True, micros=micros),
        "0": Outcome("ok", False, micros=micros),
        ".": None,
    }
    if not details:
        return list(map(plain.__getitem__, codes))
    rest = iter(details)
    return [_outcome(next(rest), micros) if code == "x" else plain[code] for code in codes]


def _outcome(detail: Mapping[str, Any], mean: float) -> Outcome:
    micros = detail["took"] * 1000.0 if "took" in detail else mean
    if "error" not in detail:
        return Outcome("ok", detail["value"], micros=micros)
    line, column = detail.get("line"), detail.get("column")
    return Outcome("error", None, detail["error"], line, column, micros)


def _as_json(inputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    seen: set[tuple[str, ...]] = set()
    for index, given in enumerate(inputs):
        names = tuple(given)
        if names not in seen:
            _check_names(index, names)
            seen.add(names)
        try:
            # ASCII, so that half a surrogate pair in a mail crosses as an escape
            yield json.dumps(dict(given), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"Input {index} is not plain JSON data: {error}") from error


def _check_names(index: int, names: Sequence[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise ValueError(f"Input {index}: {name!r} cannot be the name of a variable")
