"""Golden examples: mails beside a rule that it must match, or must not; part of every check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kolibri_sdk.decide.inbound import Subject, decide_messages
from kolibri_sdk.errors import KolibriError, Problem
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.decision import Decision, Verdict
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.rule import Example, InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.rulebook import Rulebook
from kolibri_sdk.sandbox import Sandbox

__all__ = ["check_examples", "example_subject"]

# A mail without a Date still needs an arrival; a fixed one keeps the check's answer the same.
_ARRIVAL = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def check_examples(rulebook: Rulebook, sandbox: Sandbox) -> tuple[Problem, ...]:
    """Run every golden example through the poller's own evaluator; a problem for each surprise.

    An example with ``record:`` is taken as a signed reply to that record.
    """
    return tuple(
        problem
        for rule in rulebook.inbound_rules
        if rule.examples
        for problem in _check_rule(rulebook, rule, sandbox)
    )


def _check_rule(rulebook: Rulebook, rule: InboundRule, sandbox: Sandbox) -> Iterator[Problem]:
    subjects: list[Subject] = []
    read: list[tuple[int, Example]] = []
    for position, example in enumerate(rule.examples):
        try:
            subjects.append(_subject(rulebook, rule, example))
        except (OSError, KolibriError) as error:
            yield _problem(rulebook, rule, position, f"{example.mail} cannot be read: {error}")
        else:
            read.append((position, example))
    # A draft has to keep its promises too.
    tried = rule.model_copy(update={"state": RuleState.ACTIVE})
    decided = decide_messages([tried], subjects, sandbox, rulebook.entities)
    for (position, example), (decision,) in zip(read, decided, strict=True):
        if decision.verdict is not (Verdict.MATCH if example.match else Verdict.NO):
            yield _problem(rulebook, rule, position, _surprise(example, decision))


def _subject(rulebook: Rulebook, rule: InboundRule, example: Example) -> Subject:
    raw = rulebook.example_mail(rule, example).read_bytes()
    box = rulebook.mailboxes.get(rule.mailbox)
    trusted = box.trusted_authserv if box else ()
    return example_subject(raw, rule.mailbox, example.record, rulebook.entities, trusted)


def example_subject(
    raw: bytes,
    mailbox: str,
    record: Mapping[str, Any] | None,
    entities: Mapping[str, Entity],
    trusted: Sequence[str] = (),
) -> Subject:
    """What a rule sees of a golden example: the mail as it came by this mailbox.

    Parameters
    ----------
    raw : bytes
        The .eml file.
    record : mapping, optional
        The record that it replies to, by a reference that counts as signed.

    Raises
    ------
    KolibriError
        When the mail is beyond the parser's limits.
    """
    mail = parse_mail(raw, trusted_authserv=trusted)
    if mail.incomplete:
        raise KolibriError(mail.incomplete)
    message = StoredMessage.of(mail, mailbox=mailbox, received_at=mail.sent_at or _ARRIVAL)
    if record is None:
        return Subject(message)
    key = RecordKey(entity=_entity_of(entities, record), key="1")
    return Subject(message, ReferenceHit(key, Grade.SIGNED, "example"), record)


def _entity_of(entities: Mapping[str, Entity], record: Mapping[str, Any]) -> str:
    """The entity whose fields fit the example's record best."""

    def fit(entity: Entity) -> int:
        return len(record.keys() & entity.fields.keys())

    return max(entities.values(), key=fit).name if entities else "record"


_WORDS = {Verdict.MATCH: "match", Verdict.NO: "no match"}


def _surprise(example: Example, decision: Decision) -> str:
    wanted = _WORDS[Verdict.MATCH if example.match else Verdict.NO]
    said = _WORDS.get(decision.verdict, decision.verdict.value)
    reason = f" ({decision.reason})" if decision.reason else ""
    return f"{example.mail} should be {wanted}, and is {said}{reason}"


def _problem(rulebook: Rulebook, rule: InboundRule, position: int, message: str) -> Problem:
    line, column = rulebook.place(rule.file, ("examples", position))
    mend = "correct the condition, or the example if the new behaviour is wanted"
    return Problem(rule.file, f"golden example {message}", mend, line=line, column=column)
