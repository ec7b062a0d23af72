"""Stage 3: reference first, then all incoming rules of the mailbox, then effects (S23-S25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.actions import ActionScene, carry_out
from kolibri_sdk.decide import Subject, decide_messages
from kolibri_sdk.errors import ActionError, NotFound
from kolibri_sdk.model.decision import Said
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.reference import Grade
from kolibri_sdk.model.rule import InboundRule
from kolibri_sdk.model.stored import ActivityEntry, StoredMessage
from kolibri_sdk.outbox import settle_bounces
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.reference import Reference, find_references, recognise_own
from kolibri_sdk.store import activity, capture, decisions, messages, suggestions

__all__ = ["Weighed", "apply_rules", "comes_to_nothing", "count", "run_rules", "weigh"]

_BATCH = 250
_MOST_ATTEMPTS = 5


def run_rules(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Decide on every parsed mail of a mailbox and carry out what the rules say."""
    after = 0
    while True:
        with system.store.read() as tx:
            found = messages.pending(
                tx, mailbox.name, _BATCH, max_attempts=_MOST_ATTEMPTS, after=after
            )
        if not found:
            return
        apply_rules(system, mailbox.name, weigh(system, mailbox.name, found), report)
        after = found[-1].id


Weighed = tuple[Subject, Reference, Said]  # a mail, where it belongs, what the rules say of it


def weigh(system: System, mailbox: str, found: Sequence[StoredMessage]) -> list[Weighed]:
    """The reference of each mail, and what the rules of its mailbox say of it; writes nothing."""
    own = system.rulebook.own_addresses().keys()
    with system.store.read() as tx:
        found = recognise_own(tx, found, own)
        references = find_references(tx, system.tables, found, own)
        subjects = [
            Subject(item, ref.hit, system.tables.find(tx, ref.record) if ref.record else None)
            for item, ref in zip(found, references, strict=True)
        ]
    rules = system.rulebook.inbound(mailbox)
    decided = decide_messages(rules, subjects, system.sandbox, system.rulebook.entities)
    checkpoint.reach("rules.decided")
    return list(zip(subjects, references, decided, strict=True))


def comes_to_nothing(one: Weighed) -> bool:
    """Whether a mail leaves nothing to write but that it is done."""
    return _is_quiet(one) and _is_plain(one)


def apply_rules(system: System, mailbox: str, work: Sequence[Weighed], report: PassReport) -> None:
    """Mails without effects in one transaction, every other mail in one of its own."""
    rules = {rule.name: rule for rule in system.rulebook.inbound(mailbox)}
    quiet = [one for one in work if _is_quiet(one)]
    with system.store.write() as tx:
        _finish_quiet(tx, quiet, rules, report)
    for one in work:
        if not _is_quiet(one):
            _apply(system, rules, one, report)


def _is_quiet(one: Weighed) -> bool:
    subject, reference, said = one
    message = subject.message
    return reference.hit is None and not (message.attempts or message.bounces or said.acts)


def _is_plain(one: Weighed) -> bool:
    """Whether a quiet mail leaves nothing to write but its state."""
    subject, reference, said = one
    # Automatic mail is written down with its kind and depth, which were found out just now.
    marked = subject.message.depth or reference.suggestions or reference.forged
    return not (marked or said.faults)


def _finish_quiet(
    tx: sa.Connection,
    work: Sequence[Weighed],
    rules: Mapping[str, InboundRule],
    report: PassReport,
) -> None:
    plain = [one for one in work if _is_plain(one)]
    done = messages.finish_plainly(tx, [subject.message for subject, _, _ in plain])
    mine = [one for one in plain if one[0].message.id in done]
    mine += [one for one in work if not _is_plain(one) and _finish(tx, *one, rules)]
    decisions.add(tx, [decisions.Decided(said, subject.message.id) for subject, _, said in mine])
    for subject, reference, said in mine:
        count(report, subject, reference, said, rules)


def _apply(
    system: System, rules: Mapping[str, InboundRule], one: Weighed, report: PassReport
) -> None:
    """One transaction: decisions, effects, activity, outbox rows and the message's new state."""
    subject, reference, said = one
    try:
        with system.store.write() as tx:
            scene = _scene(system, tx, subject, reference)
            # Taking the message first keeps a second poller out until this one has committed.
            if not _finish(tx, subject, reference, said, rules):
                return
            done = _act(scene, rules, said)
            checkpoint.reach("act.done")
            _note_incoming(scene, reference)
            if subject.message.attempts:
                decisions.withdraw(tx, subject.message.id)
            told = decisions.Decided(said, subject.message.id, actions=done)
            decisions.add(tx, [told])
            returned = settle_bounces(tx, subject.message, system.mailbox(subject.message.mailbox))
            if reference.record is None and scene.created:
                messages.tie(tx, subject.message.id, scene.created[-1], "created")
    except (ActionError, NotFound, sa.exc.IntegrityError) as error:
        system.tables.forget()
        _note_failure(system, subject, said, str(error), report)
        return
    count(report, subject, reference, said, rules)
    _count_effects(report, subject, scene, done)
    report.counts["bounced"] += len(returned)


def _scene(
    system: System, tx: sa.Connection, subject: Subject, reference: Reference
) -> ActionScene:
    return ActionScene(
        tx=tx,
        tables=system.tables,
        rulebook=system.rulebook,
        message=subject.message,
        hit=reference.hit,
        record_key=reference.record,
        record=dict(subject.record) if subject.record is not None else None,
        record_link=system.project.record_link,
    )


def _act(
    scene: ActionScene, rules: Mapping[str, InboundRule], said: Said
) -> dict[str, list[dict[str, Any]]]:
    done = {}
    for decision in said.told:
        if decision.acts:
            scene.cause = f"rule:{decision.rule} digest:{decision.digest[:12]}"
            why = Provenance.by_rule(scene.message.id, decision.rule, decision.digest)
            with capture.caused_by(scene.tx, why):
                done[decision.rule] = carry_out(scene, rules[decision.rule], decision)
    return done


def _finish(
    tx: sa.Connection,
    subject: Subject,
    reference: Reference,
    said: Said,
    rules: Mapping[str, InboundRule],
) -> bool:
    mine = messages.finish(
        tx,
        subject.message,
        MessageState.DONE,
        record=reference.record,
        grade=reference.hit.grade.value if reference.hit else None,
        forged=reference.forged,
        error="; ".join(_faults(said, rules)),
    )
    if mine:
        suggestions.add(tx, subject.message.id, reference.suggestions)
    return mine


def _faults(said: Said, rules: Mapping[str, InboundRule]) -> list[str]:
    """The rules that could not be decided, told by file and line."""
    told = []
    for decision in said.faults:
        file = rules[decision.rule].file
        place = f" ({file})" if file else ""
        line = f", line {decision.line} of the expression" if decision.line else ""
        told.append(f"Rule {decision.rule}{place}: {decision.reason}{line}")
    return told


def _note_incoming(scene: ActionScene, reference: Reference) -> None:
    """Show the mail in the stream of the record that its reference leads to (S23)."""
    hit = reference.hit
    if hit is None or not scene.tables.entity(hit.record.entity).activity_stream:
        return
    mail = scene.message
    verified = "" if hit.grade is not Grade.STRANGER else "Unverified: the sender is new here. "
    merged = f", merged from {hit.merged_from}" if hit.merged_from else ""
    entry = ActivityEntry(
        record=hit.record,
        kind="mail_in",
        at=mail.received_at or clock.now(),
        text=verified + (mail.reply_text or mail.text or mail.subject),
        author=mail.sender.address if mail.sender else "",
        message=mail.id,
        cause=f"reference:{hit.grade.value} by {hit.carrier}{merged}",
    )
    activity.add(scene.tx, [entry])


def _note_failure(
    system: System, subject: Subject, said: Said, error: str, report: PassReport
) -> None:
    """Nothing of the message happened; it waits for another try, visible with its reason."""
    tries = subject.message.attempts + 1
    with system.store.write() as tx:
        if not messages.finish(tx, subject.message, MessageState.FAILED, error=error):
            return
        decisions.withdraw(tx, subject.message.id)
        failed = {one.rule: [{"failed": error}] for one in said.told if one.acts}
        decisions.add(tx, [decisions.Decided(said, subject.message.id, actions=failed)])
    more = "tried again in the next pass" if tries < _MOST_ATTEMPTS else "given up"
    report.errors.append(
        f"Message {subject.message.id} (mailbox {subject.message.mailbox}): {error} "
        f"[try {tries} of {_MOST_ATTEMPTS}, {more}]"
    )


def count(
    report: PassReport,
    subject: Subject,
    reference: Reference,
    said: Said,
    rules: Mapping[str, InboundRule],
) -> None:
    """Count what became of a mail; ``rules`` are asked for the files of those with a fault."""
    number = subject.message.id
    report.counts["referenced"] += reference.hit is not None
    report.counts["decisions"] += len(said)
    report.counts["matched"] += said.matches
    report.errors.extend(f"Message {number}: {fault}" for fault in _faults(said, rules))
    if wrong := reference.forged + reference.foreign:
        report.counts["forged"] += wrong
        report.refuse(
            [f"Message {number}: {wrong} reference(s) with a wrong signature"],
            kind="mails whose references have a wrong signature",
        )
    report.counts["suggested"] += len(reference.suggestions)
    report.refuse(
        (
            f"Message {number}: {hit.record} is only a suggestion ({hit.carrier}), not attached"
            for hit in reference.suggestions
        ),
        kind="suggestions; see `kolibri suggestions list`",
    )


def _count_effects(
    report: PassReport,
    subject: Subject,
    scene: ActionScene,
    done: Mapping[str, list[dict[str, Any]]],
) -> None:
    report.counts["records"] += len(scene.created)
    for rule, actions in done.items():
        for one in actions:
            report.counts["queued"] += len(one.get("outbox", ()))
            report.hold(one.get("held", 0), one.get("because", ()))
            where = f"Message {subject.message.id}, rule {rule}"
            report.refuse(
                f"{where}: no mail to {who}: {why}" for who, why in one.get("dropped", ())
            )
            report.refuse(f"{where}: conflict, {text}" for text in one.get("conflicts", ()))
