"""After sending: what is uncertain is looked for, and copies go into the Sent folder (IMAP)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.errors import KolibriError
from kolibri_sdk.mailboxes import SentFolder
from kolibri_sdk.model.mailbox import Mailbox, SentCopy
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox import look_again, prove, told_by_mail
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import blobs, outbox, sent_copies
from kolibri_sdk.store.sent_copies import WantedCopy

__all__ = ["copy_sent", "find_evidence", "is_proven"]

_BATCH = 100
_CLAIM = timedelta(minutes=15)
_MOST_ATTEMPTS = 10
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)


def find_evidence(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Look whether anything tells that uncertain mails went out; those that did are sent."""
    with system.store.read() as tx:
        items = outbox.undecided(tx, mailbox.name, _BATCH)
    if not items:
        return
    for item, why in zip(items, _evidence(system, mailbox, items, report), strict=True):
        with system.store.write() as tx:
            if not why:
                look_again(tx, item)
            elif prove(tx, item, why, mailbox):
                report.counts["sent"] += 1


def is_proven(system: System, mailbox: Mailbox, item: OutboxItem, report: PassReport) -> bool:
    """Whether a mail that is about to be sent again has gone out after all; then it is settled."""
    if not any(result["status"] == "uncertain" for result in item.results.values()):
        return False
    (why,) = _evidence(system, mailbox, [item], report)
    if not why:
        return False
    with system.store.write() as tx:
        if prove(tx, item, why, mailbox):
            report.counts["sent"] += 1
    return True


def copy_sent(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Put copies of what was sent into the Sent folder, each once; the mail's state stays."""
    if mailbox.outbound is None or mailbox.outbound.sent_copy is not SentCopy.APPEND:
        return
    with system.store.write() as tx:
        wanted = sent_copies.claim(tx, mailbox.name, _BATCH, _CLAIM)
    if not wanted:
        return
    left = list(wanted)
    try:
        with system.connections.sent_folder(mailbox) as folder:
            while left:
                _copy(system, folder, left[0], report)
                left.pop(0)
    except KolibriError as error:
        _put_off(system, left, error)
        report.errors.append(f"{error} ({len(left)} cop(ies) for the Sent folder wait)")


def _copy(system: System, folder: SentFolder, one: WantedCopy, report: PassReport) -> None:
    with system.store.read() as tx:
        raw = blobs.get_whole(tx, [one.blob]).get(one.blob)
    if raw is None:
        why = "its bytes are lost or damaged in the database"
        report.errors.append(f"Outbox {one.outbox}: no copy for the Sent folder: {why}")
        with system.store.write() as tx:
            sent_copies.settle(tx, one.outbox, "failed", why)
        return
    folder.put(one.message_id, raw, one.sent_at)
    checkpoint.reach("copy.put")
    with system.store.write() as tx:
        sent_copies.settle(tx, one.outbox, "filed")
    report.counts["copied"] += 1


def _put_off(system: System, left: Sequence[WantedCopy], error: KolibriError) -> None:
    with system.store.write() as tx:
        for one in left:
            if one.attempts >= _MOST_ATTEMPTS:
                told = f"gave up after {one.attempts} tries; last: {error}"
                sent_copies.settle(tx, one.outbox, "failed", told)
            else:
                wait = min(_FIRST_WAIT * 2 ** (one.attempts - 1), _LONGEST_WAIT)
                sent_copies.put_off(tx, one.outbox, clock.now() + wait, str(error))


def _evidence(
    system: System, mailbox: Mailbox, items: Sequence[OutboxItem], report: PassReport
) -> list[str]:
    """For each, what tells that it went out; empty where nothing does."""
    with system.store.read() as tx:
        found = [told_by_mail(tx, item) for item in items]
    if all(found) or mailbox.outbound is None or mailbox.outbound.sent_copy is None:
        return found
    try:
        with system.connections.sent_folder(mailbox) as folder:
            return [
                why or ("it lies in the Sent folder" if folder.holds(item.message_id) else "")
                for item, why in zip(items, found, strict=True)
            ]
    except KolibriError as error:
        report.errors.append(f"{error} (looking for mail that may have gone out)")
        return found
