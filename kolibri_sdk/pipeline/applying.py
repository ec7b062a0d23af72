"""A rule applied to mail already there, on purpose: once per mail, one transaction each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import checkpoint
from kolibri_sdk.actions import ActionScene, carry_out
from kolibri_sdk.decide import Subject, decide_messages
from kolibri_sdk.errors import ActionError, NotFound
from kolibri_sdk.model.decision import Decision, Verdict
from kolibri_sdk.model.message import Direction, MessageState
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import applications, capture, decisions, messages

__all__ = ["Applied", "applicable", "apply_rule", "silent"]

_BATCH = 100
_Time = tuple[int, int, datetime]  # which time it was, of which application, when
_SETTLED = {MessageState.DONE, MessageState.IMPORTED}
_ON_ARRIVAL = {grade.value: grade for grade in Grade if grade.attaches}


@dataclass(slots=True)
class Applied:
    """What came of it.

    Attributes
    ----------
    counts : Counter of str
        ``applied``, ``already`` (the rule had acted on them before), ``no_match`` (no longer, or
        not any more), ``records`` made, ``queued`` mails, ``held`` of them.
    errors : list of str
        Mails of which nothing was done, each with the reason; the next time they are tried again.
    finished : bool
        False when it was stopped; calling it again goes on.
    """

    rule: str
    number: int
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    finished: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.errors

    def __str__(self) -> str:
        names = ("applied", "already", "no_match", "records", "queued", "held")
        words = {"already": "had it before", "no_match": "do not match", "records": "records made"}
        words |= {"queued": "mails queued", "held": "of these held"}
        told = [f"{self.counts[n]:,} {words.get(n, n)}" for n in names if self.counts[n]]
        failed = [f"{len(self.errors):,} FAILED"] if self.errors else []
        broken = [] if self.finished else ["stopped; the same call goes on"]
        return f"{self.rule}: {', '.join([*(told or ['nothing to do']), *failed, *broken])}"


def silent(rule: InboundRule) -> InboundRule:
    """The rule without the mails that it sends."""
    steps = tuple(action for action in rule.then if action.send_mail is None)
    return rule.model_copy(update={"then": steps})


def applicable(
    system: System, rule: InboundRule, numbers: Sequence[int], *, again: bool
) -> dict[int, str]:
    """Which of these mails the rule cannot be applied to, and why."""
    with system.store.read() as tx:
        acted = applications.acted(tx, rule.name, numbers)
        before = applications.times(tx, rule.name, numbers)
        found = messages.get_many(tx, numbers)
    reasons = {number: "there is no such mail" for number in numbers if number not in found}
    for number, mail in found.items():
        why = _unfit(mail, rule)
        if not why and not again:
            if number in acted:
                why = f"the rule acted on it as it came ({acted[number]:%Y-%m-%d})"
            elif number in before:
                why = f"the rule was applied to it ({before[number][-1][2]:%Y-%m-%d})"
        if why:
            reasons[number] = why
    return reasons


def _unfit(mail: StoredMessage, rule: InboundRule) -> str:
    if mail.direction is not Direction.IN:
        return "it went out"
    if mail.mailbox != rule.mailbox:
        return f"it came in by the mailbox {mail.mailbox}"
    if mail.state not in _SETTLED:
        return f"it is {mail.state.value}: the poller's own pass comes first"
    return ""


def apply_rule(
    system: System,
    rule: InboundRule,
    numbers: Sequence[int],
    *,
    send: bool = True,
    again: bool = False,
    reason: str = "",
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> Applied:
    """Carry out a rule's actions on these mails, those of them that it matches.

    Each mail is one transaction, in which it is noted as done: whoever is killed in between calls
    it again, and nothing happens twice. The condition sees the mail as it came, and its record as
    it is now.

    Parameters
    ----------
    send : bool
        Without it neither the rule nor an outgoing rule writes to anybody.
    again : bool
        Also to mails on which the rule has acted before.
    """
    live = rule.model_copy(update={"state": RuleState.ACTIVE})
    work = _Application(system, live if send else silent(live), rule.digest, send, again)
    with system.store.write() as tx:
        decisions.note_versions(tx, {rule.digest: (rule.name, rule.as_json())})
        number = applications.begin(
            tx,
            rule=rule.name,
            mailbox=rule.mailbox,
            digest=rule.digest,
            again=again,
            mails=send,
            author=system.user,
            reason=reason.strip(),
            planned=len(numbers),
        )
    work.done = Applied(rule.name, number)
    ordered = list(dict.fromkeys(numbers))
    for start in range(0, len(ordered), _BATCH):
        if stop is not None and stop.requested:
            return work.done
        work.batch(ordered[start : start + _BATCH])
        if progress is not None:
            progress(min(start + _BATCH, len(ordered)), len(ordered))
    with system.store.write() as tx:
        # What failed is tried again by the same application.
        if work.done.ok:
            applications.finish(tx, number)
    work.done.finished = True
    return work.done


@dataclass(slots=True)
class _Application:
    system: System
    rule: InboundRule
    digest: str
    send: bool
    again: bool
    done: Applied = field(init=False)

    def batch(self, numbers: Sequence[int]) -> None:
        """Decide on some mails, and do what is to be done, mail by mail."""
        system, rule = self.system, self.rule
        with system.store.read() as tx:
            acted = applications.acted(tx, rule.name, numbers)
            before = applications.times(tx, rule.name, numbers)
            found = messages.get_many(tx, numbers)
            fit = [
                found[number]
                for number in numbers
                if number in found
                and not _unfit(found[number], rule)
                and not self._had(number, acted, before)
            ]
            self.done.counts["already"] += sum(self._had(n, acted, before) for n in numbers)
            subjects = [self._subject(tx, mail) for mail in fit]
            records = [
                system.tables.find(tx, mail.record) if mail.record is not None else None
                for mail in fit
            ]
        decided = decide_messages([rule], subjects, system.sandbox, system.rulebook.entities)
        checkpoint.reach("apply.decided")
        for subject, record, (decision,) in zip(subjects, records, decided, strict=True):
            if decision.verdict is Verdict.MATCH:
                self._apply(subject, record, decision, acted)
            elif decision.verdict is Verdict.NO:
                self.done.counts["no_match"] += 1
            else:
                told = f"{decision.verdict.value}: {decision.reason}"
                self.done.errors.append(f"Message {subject.message.id}: {told}")

    def _had(
        self, number: int, acted: Mapping[int, datetime], before: Mapping[int, list[_Time]]
    ) -> bool:
        times = before.get(number, [])
        if self.again:
            return any(application == self.done.number for _, application, _ in times)
        return bool(times) or number in acted

    def _subject(self, tx: sa.Connection, mail: StoredMessage) -> Subject:
        grade = _ON_ARRIVAL.get(mail.grade or "")
        if mail.record is None or grade is None:
            return Subject(mail)
        record = self.system.tables.find(tx, mail.record)
        return Subject(mail, ReferenceHit(mail.record, grade, "history"), record)

    def _apply(
        self,
        subject: Subject,
        record: dict[str, Any] | None,
        decision: Decision,
        acted: Mapping[int, datetime],
    ) -> None:
        system, mail = self.system, subject.message
        try:
            with system.store.write() as tx:
                applications.lock(tx, mail.id)
                before = applications.times(tx, self.rule.name, [mail.id])
                if self._had(mail.id, acted, before):
                    self.done.counts["already"] += 1
                    return
                nth = max([n + 1 for n, _, _ in before.get(mail.id, [])], default=0)
                scene = self._scene(tx, subject, record, max(nth, int(mail.id in acted)))
                why = Provenance.by_rule(mail.id, self.rule.name, self.digest)
                known = capture.latest(tx)
                with capture.caused_by(tx, why):
                    done = carry_out(scene, self.rule, decision)
                checkpoint.reach("apply.acted")
                if not self.send:
                    capture.silence(tx, why, known)
                applications.note(
                    tx,
                    rule=self.rule.name,
                    message_id=mail.id,
                    nth=scene.again,
                    number=self.done.number,
                    actions=done,
                )
                if mail.record is None and scene.created:
                    messages.tie(tx, mail.id, scene.created[-1], "created")
        except (ActionError, NotFound, sa.exc.IntegrityError) as error:
            system.tables.forget()
            self.done.errors.append(f"Message {mail.id}: {error}")
            return
        self.done.counts["applied"] += 1
        self.done.counts["records"] += len(scene.created)
        for one in done:
            self.done.counts["queued"] += len(one.get("outbox", ()))
            self.done.counts["held"] += one.get("held", 0)

    def _scene(
        self, tx: sa.Connection, subject: Subject, record: dict[str, Any] | None, again: int
    ) -> ActionScene:
        user = self.system.user
        return ActionScene(
            tx=tx,
            tables=self.system.tables,
            rulebook=self.system.rulebook,
            message=subject.message,
            hit=subject.hit,
            record_key=subject.message.record,
            record=record,
            record_link=self.system.project.record_link,
            cause=f"rule:{self.rule.name} digest:{self.digest[:12]} applied by {user}",
            applied_by=user,
            again=again,
        )
