"""Stage 5: the outbox is composed, claimed, sent and settled (S2, S12, S13, S22)."""

from __future__ import annotations

from kolibri_sdk import checkpoint
from kolibri_sdk.errors import MailboxError, OperationalError, SendError, ServerBusy
from kolibri_sdk.mailboxes import MailTransport
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Envelope, OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox import (
    compose_anew,
    compose_items,
    find_uncertain,
    open_recipients,
    owner,
    save_composed,
    settle,
    settle_error,
)
from kolibri_sdk.pipeline.backoff import OUTBOUND, note_error, note_success, pause
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import blobs, messages, outbox

__all__ = ["compose_outbox", "send_outbox"]

_BATCH = 100
_COUNTED = {
    OutboxState.SENT: "sent",
    OutboxState.QUEUED: "retried",
    OutboxState.FAILED: "failed",
    OutboxState.UNCERTAIN: "uncertain",
}


def compose_outbox(system: System, report: PassReport) -> None:
    """Render and compose what is queued; a template that fails keeps only its own mail."""
    while True:
        with system.store.read() as tx:
            items = outbox.due(tx, _BATCH, rendered=False)
            pairs = [(item, messages.get(tx, item.message)) for item in items]
        if not items:
            return
        book = system.rulebook
        done = compose_items(pairs, book.templates, book.mailboxes, system.sandbox)
        checkpoint.reach("send.composed")
        with system.store.write() as tx:
            save_composed(tx, done)
        for one in done:
            if one.error:
                report.counts["failed"] += 1
                report.errors.append(
                    f"Outbox {one.item.id} (mailbox {one.item.mailbox}): {one.error}"
                )


def send_outbox(system: System, mailbox: Mailbox, report: PassReport) -> None:
    """Send what is due over one connection; what cannot be sent now stays queued."""
    with system.store.write() as tx:
        for item in find_uncertain(tx):
            report.counts["uncertain"] += 1
            report.errors.append(f"Outbox {item.id} to {', '.join(item.recipients)}: uncertain")
    while True:
        with system.store.read() as tx:
            items = outbox.due(tx, _BATCH, rendered=True, mailbox=mailbox.name)
        if not items:
            return
        if why := pause(system.store, mailbox.name, OUTBOUND):
            report.errors.append(f"{why} ({_waiting(len(items))})")
            return
        sent = 0
        try:
            with system.connections.transport(mailbox) as transport:
                for item in items:
                    error = _send(system, mailbox, transport, item, report)
                    sent += 1
                    if turned_away := _turned_away(mailbox, error):
                        raise turned_away
        except OperationalError as error:
            if left := len(items) - sent:
                report.errors.append(f"{error} ({_waiting(left)})")
            with system.store.write() as tx:
                note_error(tx, mailbox.name, OUTBOUND, error)
            return
        note_success(system.store, mailbox.name, OUTBOUND)


def _waiting(number: int) -> str:
    return f"{number} mail(s) wait in the outbox"


def _turned_away(mailbox: Mailbox, error: SendError | None) -> MailboxError | None:
    """Why the server wants no further mail now: else every mail would connect anew."""
    if error is None:
        return None
    if isinstance(error.__cause__, MailboxError):  # the line could not be made anew
        return error.__cause__
    if error.code == 421:
        return ServerBusy(mailbox.name, error.what, "It is left alone for a while.")
    return None


def _send(
    system: System,
    mailbox: Mailbox,
    transport: MailTransport,
    item: OutboxItem,
    report: PassReport,
) -> SendError | None:
    """Claim (committed), hand over, settle: a crash in between is told as uncertain, not hidden."""
    with system.store.write() as tx:
        if item.blob is None or not outbox.claim(tx, item.id, owner()):
            return None
        raw = blobs.get_whole(tx, [item.blob]).get(item.blob)
        if raw is None:
            compose_anew(tx, item, mailbox)
    if raw is None:
        report.errors.append(
            f"Outbox {item.id} to {', '.join(item.recipients)}: its bytes are missing or damaged "
            "in the database; it is composed anew in the next pass"
        )
        return None
    checkpoint.reach("send.claimed")
    error: SendError | None = None
    try:
        delivery = transport.send(Envelope(item.sender, open_recipients(item)), raw)
    except SendError as refused:
        error = refused
    checkpoint.reach("send.handed_over")
    with system.store.write() as tx:
        state = settle_error(tx, item, error) if error else settle(tx, item, delivery)
    if state is None:
        return None
    report.counts[_COUNTED[state]] += 1
    if error is not None:
        report.errors.append(f"Outbox {item.id} to {', '.join(item.recipients)}: {error}")
    return error
