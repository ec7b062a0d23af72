"""Stage 2: from stored bytes to a parsed KolibriMessage (S19), and to a done one where it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from kolibri_sdk import checkpoint
from kolibri_sdk.decide import Subject
from kolibri_sdk.errors import KolibriError, StoreError
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import MessageState, ParsedMail
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.pipeline import garbage
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.rules import Weighed, apply_rules, comes_to_nothing, count, weigh
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import audit, blobs, decisions, messages
from kolibri_sdk.store.messages import Claimed

__all__ = ["parse_stored"]

_BATCH = 500
_MOST_ATTEMPTS = 3


def parse_stored(system: System, mailboxes: Sequence[str], report: PassReport) -> None:
    """Parse what was fetched, and decide on it.

    Most mails come to nothing: no record, no rule that matches. These are written once, parsed
    and done; all others when they are parsed, and again with what the rules do.

    A mail beyond the limits is stored as far as it was read, as ``unparsed`` and with an alarm: no
    rule decides on half a mail. One that may have taken a process down is taken alone, and is
    saved before a rule sees it, so that its count tells of the parser and of nothing else.
    """
    for tried in (False, True):
        size = 1 if tried else _BATCH
        while claimed := _claim(system, mailboxes, size, tried=tried):
            with garbage.waiting():
                _work_on(system, claimed, report, tried=tried)


def _work_on(
    system: System, claimed: Sequence[Claimed], report: PassReport, *, tried: bool
) -> None:
    try:
        rest = _parse_batch(system, claimed, report, weighing=not tried)
    except StoreError:
        # The count tells of mails that take the process down, not of a full disk.
        with suppress(StoreError), system.store.write() as tx:
            messages.release_claims(tx, (item.id for item in claimed))
        raise
    _apply(system, rest, report)
    if tried:
        _decide_stored(system, claimed[0], report)


def _claim(system: System, mailboxes: Sequence[str], size: int, *, tried: bool) -> list[Claimed]:
    with system.store.write() as tx:
        return messages.claim_fetched(tx, size, mailboxes, tried=tried)


def _parse_batch(
    system: System, claimed: Sequence[Claimed], report: PassReport, *, weighing: bool
) -> list[Weighed]:
    """Parse, decide and save a batch; what came back has been decided on, and not carried out."""
    parsed, refused = _parse(system, claimed)
    weighed = _weigh(system, claimed, parsed, report) if weighing else []
    nothing = {one[0].message.id: one for one in weighed if comes_to_nothing(one)}
    with system.store.write() as tx:
        digests = decisions.enter_rulesets(tx, (said for _, _, said in nothing.values()))
        rulesets = {number: digests[said.asked] for number, (_, _, said) in nothing.items()}
        saved = messages.save_parsed(tx, parsed, done=rulesets)
        done = [one for number, one in nothing.items() if number in saved]
        told = [decisions.Decided(said, subject.message.id) for subject, _, said in done]
        decisions.add_told(tx, told)
        for number, reason in refused.items():
            messages.save_unparsed(tx, number, reason)
        checkpoint.reach("parse.batch")
        # Actions work with the message as it is stored.
        rows = messages.get_many(tx, saved - nothing.keys())
    rest = [
        (_as_stored(subject, rows[subject.message.id]), reference, said)
        for subject, reference, said in weighed
        if subject.message.id in rows
    ]
    for subject, reference, said in done:
        count(report, subject, reference, said, {})
    refused |= {number: mail.incomplete for number, mail in parsed.items() if mail.incomplete}
    report.counts["unparsed"] += len(refused)
    report.refuse(f"Message {n} was not parsed: {reason}" for n, reason in refused.items())
    return rest


def _as_stored(subject: Subject, row: StoredMessage) -> Subject:
    """The row, with what was found out of the mail since it was parsed."""
    fresh = subject.message
    return replace(subject, message=replace(row, kind=fresh.kind, depth=fresh.depth))


def _parse(
    system: System, claimed: Sequence[Claimed]
) -> tuple[dict[int, ParsedMail], dict[int, str]]:
    """The mails by id, and why others are not parsed."""
    parsed: dict[int, ParsedMail] = {}
    refused: dict[int, str] = {}
    with system.store.read() as tx:
        contents = blobs.get_whole(tx, (item.blob for item in claimed))
    for item in claimed:
        if item.blob not in contents:
            mend = f"`kolibri reconcile {item.mailbox} --repair` fetches them again"
            refused[item.id] = f"{audit.BYTES_LOST}; {mend}"
            continue
        if item.attempts > _MOST_ATTEMPTS:
            refused[item.id] = f"parsing ended the process {_MOST_ATTEMPTS} times"
            continue
        box = system.rulebook.mailboxes.get(item.mailbox)
        trusted = box.trusted_authserv if box else ()
        parsed[item.id] = parse_mail(contents[item.blob], trusted_authserv=trusted)
    return parsed, refused


def _weigh(
    system: System,
    claimed: Sequence[Claimed],
    parsed: Mapping[int, ParsedMail],
    report: PassReport,
) -> list[Weighed]:
    """What the rules say of the mails, each by those of its mailbox."""
    fresh: dict[str, list[StoredMessage]] = {}
    for item in claimed:
        mail = parsed.get(item.id)
        if mail is not None and not mail.incomplete:
            fresh.setdefault(item.mailbox, []).append(
                StoredMessage.of(
                    mail, mailbox=item.mailbox, received_at=item.received_at, number=item.id
                )
            )
    return [
        one
        for mailbox, found in fresh.items()
        for one in _guarded(report, partial(weigh, system, mailbox, found))
    ]


def _decide_stored(system: System, item: Claimed, report: PassReport) -> None:
    """Decide on a mail that was parsed alone, as it is stored now."""
    with system.store.read() as tx:
        row = messages.get(tx, item.id)
    if row.state is MessageState.PARSED:
        _apply(system, _guarded(report, partial(weigh, system, row.mailbox, [row])), report)


def _apply(system: System, work: Sequence[Weighed], report: PassReport) -> None:
    for mailbox in dict.fromkeys(subject.message.mailbox for subject, _, _ in work):
        mine = [one for one in work if one[0].message.mailbox == mailbox]
        _guarded(report, partial(_carry_out, system, mailbox, mine, report))


def _carry_out(
    system: System, mailbox: str, work: Sequence[Weighed], report: PassReport
) -> list[Weighed]:
    apply_rules(system, mailbox, work, report)
    return []


def _guarded(report: PassReport, stage: Callable[[], list[Weighed]]) -> list[Weighed]:
    """What the rules of one mailbox say; where they cannot be run, its mails wait as parsed."""
    try:
        return stage()
    except KolibriError as error:
        report.errors += [str(error)] if str(error) not in report.errors else []
        return []
