"""Stage 2: from stored bytes to a parsed KolibriMessage (S19)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kolibri_sdk import checkpoint
from kolibri_sdk.errors import StoreError
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import MessageState, ParsedMail
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import audit, blobs, messages
from kolibri_sdk.store.messages import Claimed

__all__ = ["parse_stored"]

_BATCH = 200
_MOST_ATTEMPTS = 3


def parse_stored(
    system: System,
    mailboxes: Sequence[str],
    report: PassReport,
    state: MessageState = MessageState.PARSED,
) -> None:
    """Parse what was fetched.

    A mail beyond the limits is stored as far as it was read, as ``unparsed`` and with an alarm: no
    rule decides on half a mail.
    """
    for tried in (False, True):
        size = 1 if tried else _BATCH
        while claimed := _claim(system, mailboxes, size, tried=tried):
            try:
                _parse_batch(system, claimed, report, state)
            except StoreError:
                # The count tells of mails that take the process down, not of a full disk.
                with suppress(StoreError), system.store.write() as tx:
                    messages.release_claims(tx, (item.id for item in claimed))
                raise


def _claim(system: System, mailboxes: Sequence[str], size: int, *, tried: bool) -> list[Claimed]:
    with system.store.write() as tx:
        return messages.claim_fetched(tx, size, mailboxes, tried=tried)


def _parse_batch(
    system: System, claimed: Sequence[Claimed], report: PassReport, state: MessageState
) -> None:
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
    with system.store.write() as tx:
        messages.save_parsed(tx, parsed, state)
        for number, reason in refused.items():
            messages.save_unparsed(tx, number, reason)
        checkpoint.reach("parse.batch")
    refused |= {number: mail.incomplete for number, mail in parsed.items() if mail.incomplete}
    report.counts["unparsed"] += len(refused)
    report.refuse(f"Message {n} was not parsed: {reason}" for n, reason in refused.items())
