"""A rule's way from draft to active: its file, which is the truth, and the audit of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kolibri_sdk.decide import check_examples
from kolibri_sdk.errors import ConfigurationError, NotFound, Problem
from kolibri_sdk.model.release import Proof, ReleaseStep
from kolibri_sdk.model.rule import InboundRule, InboundRuleDocument, RuleState
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.rulebook import (
    YamlFile,
    edited,
    new_document,
    parse_yaml,
    read_yaml,
    save_file,
    validate,
)
from kolibri_sdk.sandbox import Script
from kolibri_sdk.store import decisions, releases

__all__ = ["Origin", "keep_proof", "promote", "roll_back", "save", "shadow"]

_FIELDS = tuple(InboundRuleDocument.model_fields)
_BEHAVIOUR = ("order", "when", "then", "stop", "on_error")  # what the digest is over


@dataclass(frozen=True, slots=True)
class Origin:
    """A rule as its file said when it was read; what differs from it is what somebody changed."""

    rule: InboundRule
    text: str


def save(system: System, rule: InboundRule, origin: Origin | None, reason: str) -> None:
    """Write the rule into its file; a new one as a draft, one that is there in the state it has.

    Raises
    ------
    ConfigurationError
        When it is active and would do something else, unproven; when the file has changed
        meanwhile, or the rule has a mistake.
    """
    change = _Change(system, rule, origin)
    if change.present is None:
        change.write(RuleState.DRAFT, "save", reason)
        return
    state = change.present.state
    if state is RuleState.ACTIVE and rule.digest != change.present.digest:
        raise ConfigurationError(
            f"{rule.name} is active; saving would put an unproven text to work",
            "Use .promote(backtest=trial, reason=...), or .shadow() to have it decide only",
        )
    change.write(state, "save", reason)


def shadow(system: System, rule: InboundRule, origin: Origin | None, reason: str) -> None:
    """Have the rule decide on live mail and act on nothing; its decisions are kept."""
    _Change(system, rule, origin).write(RuleState.SHADOW, "shadow", reason)


def promote(
    system: System, rule: InboundRule, origin: Origin | None, proof: Proof | None, reason: str
) -> None:
    """Put the rule to work.

    Parameters
    ----------
    proof : Proof or None
        Of exactly this version; None takes the newest one that was kept.

    Raises
    ------
    ConfigurationError
        Without a proof, a reason, or golden examples of both kinds that hold.
    """
    if not reason.strip():
        raise ConfigurationError(
            f"Promoting {rule.name} asks for a reason", 'Say why: reason="..." (--reason)'
        )
    change = _Change(system, rule, origin)
    change.require_examples()
    kept = _required(system, rule, proof)
    change.write(RuleState.ACTIVE, "promote", reason, kept)


def keep_proof(system: System, proof: Proof) -> Proof:
    """Keep a proof in the database, once; with its number."""
    with system.store.write() as tx:
        for known in releases.proofs_of(tx, digest=proof.digest):
            told = replace(known, id=None, at=None, author="")
            if told == proof:
                return known
        return releases.prove(tx, proof, system.user)


def _required(system: System, rule: InboundRule, proof: Proof | None) -> Proof:
    if proof is not None:
        if proof.digest != rule.digest:
            raise ConfigurationError(
                f"Backtest {proof.id} is of the version {proof.digest[:12]} of {proof.rule}, and "
                f"not of {rule.name} as it is ({rule.digest[:12]})",
                f"Run: {_command(rule)}",
            )
        return proof if proof.id is not None else keep_proof(system, proof)
    with system.store.read() as tx:
        kept = releases.proofs_of(tx, digest=rule.digest)
    if not kept:
        raise ConfigurationError(
            f"There is no backtest of {rule.name} as it is (version {rule.digest[:12]})",
            f"Run: {_command(rule)}, or say .promote(backtest=rule.backtest(frame), ...)",
        )
    return kept[-1]


def _command(rule: InboundRule) -> str:
    return f"kolibri backtest --mailbox {rule.mailbox} --rule {rule.name} --keep"


def roll_back(system: System, rule: InboundRule, to: str | None, reason: str) -> None:
    """Put an earlier version to work again: what it does, not its description and examples.

    Parameters
    ----------
    to : str or None
        The beginning of its digest; None takes the version that was active before.

    Raises
    ------
    NotFound
        When there is no such version, or none was active before.
    """
    path, file = _place(system, rule)
    source = read_yaml(path, file)
    document = validate(InboundRuleDocument, source)
    values = {name: getattr(document, name) for name in document.model_fields_set}
    present = InboundRule(rule.name, mailbox=rule.mailbox, file=file, **values)
    earlier = _earlier(system, present, to)
    restored = {name: getattr(earlier, name) for name in _BEHAVIOUR}
    again = present.model_copy(update=restored)
    again = InboundRule(rule.name, **again.model_dump(exclude={"name"}, by_alias=True))
    with system.store.read() as tx:
        kept = releases.proofs_of(tx, digest=again.digest)
    change = _Change(system, again, Origin(present, source.text))
    change.write(RuleState.ACTIVE, "rollback", reason, kept[-1] if kept else None)


def _earlier(system: System, present: InboundRule, to: str | None) -> InboundRule:
    with system.store.read() as tx:
        known = {
            row["digest"]: row["document"]
            for row in decisions.versions(tx, present.name)
            if row["document"].get("mailbox") == present.mailbox
        }
        steps = releases.select(tx, rule=present.name, mailbox=present.mailbox)
    here = (present.digest, present.state.value)
    if to is None:
        was_active = [
            step.digest
            for step in reversed(steps)
            if step.state == "active" and (step.digest, step.state) != here
        ]
        found = was_active[:1]
    else:
        found = [digest for digest in known if to and digest.startswith(to)]
    if len(found) != 1 or found[0] not in known:
        some = ", ".join(digest[:12] for digest in known) or "none has run"
        what = f"{len(found)} versions {to!r}" if found else f"no version {to!r}"
        if to is None:
            what = "no version that was promoted before this one"
        raise NotFound(
            f"There is {what} of the rule {present.name}",
            f"Name one by the beginning of its digest: {some}",
        )
    return InboundRule(**known[found[0]])


def _place(system: System, rule: InboundRule) -> tuple[Path, str]:
    """Where the rule's file lies, and how messages name it."""
    book = system.rulebook
    path = book.root / rule.file if rule.file else None
    if path is None:
        path = system.project.rules / "inbound" / rule.mailbox / f"{rule.name}.yaml"
    inside = path.is_relative_to(book.root)
    return path, path.relative_to(book.root).as_posix() if inside else str(path)


class _Change:
    """One rule on its way into its file: compared with what is there now, and then written."""

    def __init__(self, system: System, rule: InboundRule, origin: Origin | None) -> None:
        self.system = system
        system.mailbox(rule.mailbox)
        self.path, self.file = _place(system, rule)
        self.rule = rule.model_copy(update={"file": self.file})
        self.source: YamlFile | None = None
        self.present: InboundRule | None = None
        if self.path.exists():
            self.source = read_yaml(self.path, self.file)
            document = validate(InboundRuleDocument, self.source)
            given = {name: getattr(document, name) for name in document.model_fields_set}
            self.present = InboundRule(rule.name, mailbox=rule.mailbox, file=self.file, **given)
        elif origin is not None:
            raise ConfigurationError(
                f"{self.file} is not there any more; nothing was saved",
                "Somebody deleted or moved it; make the rule anew with k.rules.adopt(...)",
            )
        self.changes = self._changes(origin)
        self._require_place()
        self._require_sound()

    def _changes(self, origin: Origin | None) -> dict[str, Any]:
        """What is to be written into the file, by key; refuses what would undo another's work."""
        if self.present is None:
            return {}
        base = origin.rule if origin is not None else self.present
        named = [n for n in _FIELDS if n != "state" and getattr(self.rule, n) != getattr(base, n)]
        if origin is None and self.rule.digest != self.present.digest:
            raise ConfigurationError(
                f"There is a rule in {self.file} already, which does something else",
                f'Start from it: k.rules["{self.rule.name}"].but(...); or choose another name',
            )
        theirs = [n for n in named if getattr(self.present, n) != getattr(base, n)]
        # Its state may be another one by now, such as by an earlier step of the same session.
        if origin and (theirs or self.present.digest != base.digest):
            assert self.source is not None
            # Tells what differs, and raises.
            save_file(self.path, self.source.text, origin.text, self.file)
        plain = _plain(self.rule)
        return {name: plain.get(name) for name in named}

    def _require_place(self) -> None:
        for other in self.system.rulebook.inbound(self.rule.mailbox):
            if other.order == self.rule.order and other.name != self.rule.name:
                taken = {one.order for one in self.system.rulebook.inbound(self.rule.mailbox)}
                free = next(n for n in range(100, 10**9, 100) if n not in taken)
                raise ConfigurationError(
                    f"The order {other.order} is that of the rule {other.name}",
                    f"Each rule of a mailbox has an order of its own: .but(order={free})",
                )

    def _require_sound(self) -> None:
        """No mistake in the JavaScript: a rule that cannot be evaluated is not released."""
        scripts = [Script("when", self.rule.when, "boolean")]
        scripts += [
            Script(f"then[{step}].{path}", source, "value")
            for step, action in enumerate(self.rule.then)
            for path, source in action.scripts().items()
        ]
        faults = self.system.sandbox.check_scripts(scripts)
        if faults:
            problems = [
                Problem(f"{self.file} {name}", fault.message, "correct it", fault.line)
                for name, fault in faults.items()
            ]
            raise ConfigurationError(
                f"{self.rule.name} has mistakes; nothing was saved", problems=problems
            )

    def require_examples(self) -> None:
        """Golden examples of both kinds, all of which hold."""
        given = self.present.examples if self.present else ()
        if self.rule.examples and "examples" in self.changes:
            given = self.rule.examples
        kinds = {example.match for example in given}
        if kinds != {True, False}:
            missing = "matches" if True not in kinds else "does not match"
            raise ConfigurationError(
                f"{self.rule.name} has no golden example that {missing}",
                "Keep some of the backtest: trial.to_golden(); or write them beside the rule",
            )
        tried = self.rule.model_copy(update={"examples": given})
        book = replace(self.system.rulebook, inbound_rules=(tried,))
        problems = check_examples(book, self.system.sandbox)
        if problems:
            raise ConfigurationError(
                f"{self.rule.name} breaks its golden examples", problems=problems
            )

    def write(self, state: RuleState, step: str, reason: str, proof: Proof | None = None) -> None:
        """The file, its version and the audit, in this order of importance."""
        was = self.present.state.value if self.present else "new"
        before = self.present.digest if self.present else None
        changes = dict(self.changes)
        if self.present is None or self.present.state is not state:
            changes["state"] = state.value
        if self.source is None:
            text = new_document({**_plain(self.rule), "state": state.value})
            parse_yaml(text, self.file)
        elif not changes:
            text = self.source.text
        else:
            text = edited(self.source, changes)
        entry = ReleaseStep(
            rule=self.rule.name,
            mailbox=self.rule.mailbox,
            step=step,
            was=was,
            state=state.value,
            before=before,
            digest=self.rule.digest,
            author=self.system.user,
            reason=reason.strip(),
            backtest=proof.id if proof is not None else None,
        )
        told = step != "save" or before != self.rule.digest
        with self.system.store.write() as tx:
            decisions.note_versions(tx, dict(self._versions(state)))
            if told:
                releases.note(tx, entry)
            # Last: what can fail has not failed, and the commit hardly will.
            save_file(self.path, text, self.source.text if self.source else None, self.file)
        self.system.distrust()
        self.system.reload_rules()

    def _versions(self, state: RuleState) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
        for one in (self.present, self.rule.model_copy(update={"state": state})):
            if one is not None:
                yield one.digest, (one.name, one.as_json())


def _plain(rule: InboundRule) -> dict[str, Any]:
    """What a rule's file holds, in the order in which people write it."""
    given = {**rule.as_json(), "order": rule.order, "state": rule.state.value}
    return {name: given[name] for name in _FIELDS if name in given}
