"""Golden examples out of a trial: redacted mails beside the rule, each tried again first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from kolibri_sdk.decide import Subject, decide_messages, example_subject
from kolibri_sdk.errors import ConfigurationError, KolibriError
from kolibri_sdk.frames import GOLDEN, GOLDEN_PASSED_OVER, frame_of, messages_of
from kolibri_sdk.lab.leaves import Leaves
from kolibri_sdk.lab.mails import subject_of
from kolibri_sdk.lab.redacted import redacted_mail
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.tables import page, shown_table, table
from kolibri_sdk.model.decision import Verdict
from kolibri_sdk.model.rule import Example, InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.rulebook import edited, read_yaml, save_file
from kolibri_sdk.sandbox import Sandbox, Script, fields_read

__all__ = ["Golden", "Strategy", "keep_examples"]

Strategy = Literal["boundary", "newest", "random"]

_LOOKED_AT = 2000  #: of each kind, the newest
_TRIES = 10  #: mails that are tried for each that is wanted
_SLUG = 40


@dataclass(frozen=True)
class Golden:
    """What was kept, and what was passed over and why.

    Attributes
    ----------
    kept : DataFrame
        One row per example; columns and dtypes as in ``kolibri_sdk.frames.GOLDEN``.
    passed_over : DataFrame
        Mails that would have come next; as in ``kolibri_sdk.frames.GOLDEN_PASSED_OVER``.
    missing : tuple of str
        What kind of example there was no mail for.
    """

    rule: str
    kept: pd.DataFrame
    passed_over: pd.DataFrame
    missing: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"<{len(self.kept)} golden examples of {self.rule}; read them before they go out>"]
        if len(self.kept):
            lines.append(shown_table(self.kept))
        if len(self.passed_over):
            lines += ["Passed over:", shown_table(self.passed_over)]
        return "\n".join([*lines, *self.missing])

    def _repr_html_(self) -> str:
        over = self.passed_over
        return page(
            table(f"Golden examples of {self.rule}: read them before they go out", self.kept),
            table("Passed over", over) if len(over) else "",
            "".join(f"<p>{text}</p>" for text in self.missing),
        )


def keep_examples(
    rule: InboundRule,
    mails: pd.DataFrame,
    verdicts: Mapping[bool, Any],
    sandbox: Sandbox,
    surroundings: Surroundings,
    *,
    number: int,
    strategy: Strategy,
) -> Golden:
    """Write redacted mails beside the rule, and their entries into its file.

    Parameters
    ----------
    verdicts : mapping
        True and False → places in ``mails`` that the rule matches, and does not match.

    Raises
    ------
    ConfigurationError
        When the rule has no file, or that has changed meanwhile.
    """
    if surroundings.root is None or not rule.file:
        raise ConfigurationError(
            f"The rule {rule.name} has no file that examples could lie beside",
            "Save it first: rule = k.rules.adopt(rule).save(), and try that one",
        )
    if number < 1:
        raise ConfigurationError("n is how many examples are kept", "Give 1 or more")
    desk = _Desk(rule, mails, sandbox, surroundings)
    wanted = {True: (number + 1) // 2, False: number // 2}
    missing = []
    for match, places in verdicts.items():
        words = "matches" if match else "does not match"
        if not len(places) and wanted[match]:
            missing.append(f"The trial has no mail that {rule.name} {words}.")
            continue
        ordered = desk.ordered(np.asarray(places), match, strategy)
        if not desk.take(ordered, match, wanted[match]) and wanted[match]:
            missing.append(f"No mail that {rule.name} {words} could be kept.")
    desk.save()
    return Golden(
        rule.name,
        frame_of(desk.kept, GOLDEN),
        frame_of(desk.passed_over, GOLDEN_PASSED_OVER),
        tuple(missing),
    )


@dataclass
class _Desk:
    """One rule's examples while they are being made."""

    rule: InboundRule
    mails: pd.DataFrame
    sandbox: Sandbox
    around: Surroundings
    kept: list[dict[str, Any]] = field(default_factory=list)
    passed_over: list[dict[str, Any]] = field(default_factory=list)
    _files: dict[Path, bytes] = field(default_factory=dict)
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.around.root is not None
        self.path = self.around.root / self.rule.file
        self.folder = self.path.parent / "examples"
        self.source = read_yaml(self.path, self.rule.file)
        self.tried = self.rule.model_copy(update={"state": RuleState.ACTIVE})
        lying = self.folder.glob("*.eml") if self.folder.is_dir() else []
        self.lying = {path.read_bytes(): path for path in lying}
        entries = self.source.data.get("examples") or []
        named = {self.path.parent / one["mail"] for one in entries}
        self.known = {raw for raw, path in self.lying.items() if path in named}
        self.reads = fields_read([self.rule.when], "record")

    def ordered(self, places: Any, match: bool, strategy: Strategy) -> list[tuple[int, int | None]]:
        """The places in the order in which they are wanted, with their distance."""
        newest = self.mails["received_at"].iloc[places].argsort(kind="stable").to_numpy()
        places = places[newest[::-1]][:_LOOKED_AT]
        if strategy == "newest":
            return [(int(place), None) for place in places]
        if strategy == "random":
            mixed = np.random.default_rng(0).permutation(places)
            return [(int(place), None) for place in mixed]
        if strategy != "boundary":
            raise ConfigurationError(
                f"There is no strategy {strategy!r}", "Say boundary, newest or random"
            )
        tree = self.sandbox.inspect([Script("when", self.rule.when)])["when"].tree
        if tree is None:
            return [(int(place), None) for place in places]
        leaves = Leaves(tree, self.mails.iloc[places], self.sandbox, self.around)
        distances = leaves.margin if match else leaves.distance
        # Of mails that are equally near, first one for each way of being so.
        ways: dict[bytes, int] = {}
        ranks = []
        for number in range(len(places)):
            way = leaves.holds[:, number].tobytes()
            ways[way] = ways.get(way, -1) + 1
            ranks.append((ways[way], int(distances[number]), number))
        # The nearest first, but no second of a way before each has had its turn.
        return [(int(places[n]), distance) for _, distance, n in sorted(ranks)]

    def take(self, ordered: Sequence[tuple[int, int | None]], match: bool, wanted: int) -> int:
        """Keep the first so many that stay what they are when redacted; how many there were."""
        taken = 0
        for place, distance in ordered[: wanted * _TRIES]:
            if taken == wanted:
                break
            (mail,) = messages_of(self.mails.iloc[[place]])
            try:
                raw, record = self._redacted(mail)
                self._require_same(raw, record, match)
            except KolibriError as error:
                self.passed_over.append({"message": mail.id, "reason": str(error)})
                continue
            self._keep(mail, raw, record, match, distance)
            taken += 1
        return taken

    def _redacted(self, mail: StoredMessage) -> tuple[bytes, dict[str, Any] | None]:
        subject = subject_of(mail, self.around)
        record = None
        if subject.hit is not None:
            given = dict(subject.record or {})
            record = {n: v for n, v in given.items() if self.reads is None or n in self.reads}
        return redacted_mail(mail, record, self.rule.when, self.around)

    def _require_same(self, raw: bytes, record: dict[str, Any] | None, match: bool) -> None:
        if raw in self.known:
            raise KolibriError("it is kept already")
        subject: Subject = example_subject(raw, self.rule.mailbox, record, self.around.entities)
        ((decision,),) = decide_messages(
            [self.tried], [subject], self.sandbox, self.around.entities
        )
        if decision.verdict is not (Verdict.MATCH if match else Verdict.NO):
            raise KolibriError(
                f"redacted, it would be {decision.verdict.value} and not "
                f"{'match' if match else 'no'}: the condition looks at what was replaced"
            )

    def _keep(
        self,
        mail: StoredMessage,
        raw: bytes,
        record: dict[str, Any] | None,
        match: bool,
        distance: int | None,
    ) -> None:
        self.known.add(raw)
        subject = example_subject(raw, self.rule.mailbox, None, {}).message.subject
        # Another rule's example may be the very same mail.
        path = self.lying.get(raw) or self._free_name(subject)
        if raw not in self.lying:
            self._files[path] = raw
        name = path.relative_to(self.path.parent).as_posix()
        example = Example(mail=name, match=match, record=record)
        entry: dict[str, Any] = {"mail": name, "match": match}
        if example.record is not None:
            entry["record"] = example.record
        self._entries.append(entry)
        told = {"file": name, "match": match, "message": mail.id, "subject": subject}
        self.kept.append({**told, "distance": distance})

    def _free_name(self, subject: str) -> Path:
        words = re.sub(r"[^a-z0-9]+", "-", subject.lower().encode("ascii", "ignore").decode())
        stem = f"{self.rule.name}-{words[:_SLUG].strip('-')}".strip("-")
        names = (f"{stem}{end}.eml" for end in _endings())
        paths = (self.folder / name for name in names)
        return next(path for path in paths if path not in self._files and not path.exists())

    def save(self) -> None:
        """The mails first: an entry without its mail would be a mistake."""
        if not self._entries:
            return
        before = self.source.data.get("examples") or []
        text = edited(self.source, {"examples": [*before, *self._entries]})
        self.folder.mkdir(exist_ok=True)
        written = []
        try:
            for path, raw in self._files.items():
                with path.open("xb") as file:
                    written.append(path)
                    file.write(raw)
            save_file(self.path, text, self.source.text, self.rule.file)
        except BaseException:
            for path in written:
                path.unlink()
            raise


def _endings() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1
