"""Stage 5: the outbox is composed, claimed, sent and settled (S2, S12, S13, S22)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
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
from kolibri_sdk.pipeline.sent_mail import is_proven
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
    _note_uncertain(system, report)
    sending = _Sending(system, mailbox, report)
    if not (items := sending.due()):
        return
    if why := pause(system.store, mailbox.name, OUTBOUND):
        report.errors.append(f"{why} ({_waiting(len(items))})")
        return
    try:
        with system.connections.transport(mailbox) as transport:
            while items and sending.hand_over(transport, items):
                items = sending.due()
    except OperationalError as error:
        if left := len(sending.due()):
            report.errors.append(f"{error} ({_waiting(left)})")
        with system.store.write() as tx:
            note_error(tx, mailbox.name, OUTBOUND, error)
        return
    note_success(system.store, mailbox.name, OUTBOUND)


def _note_uncertain(system: System, report: PassReport) -> None:
    with system.store.write() as tx:
        found = find_uncertain(tx, system.rulebook.mailboxes)
    for item, state in found:
        report.counts[_COUNTED[state]] += 1
        report.errors.append(
            f"Outbox {item.id} to {', '.join(item.recipients)}: uncertain"
            + ("; it is sent again" if state is OutboxState.QUEUED else "")
        )


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


class _Sending:
    """The mails of one mailbox in one pass: claimed (committed), handed over, settled.

    A crash after the claim is told as uncertain, not hidden. A mail is settled and the next one
    claimed in one transaction: a commit less for each mail, and as much said.
    """

    def __init__(self, system: System, mailbox: Mailbox, report: PassReport) -> None:
        self._system = system
        self._mailbox = mailbox
        self._report = report

    def due(self) -> list[OutboxItem]:
        """What may go out now: due, composed, and within the rate of the mailbox."""
        name, limit = self._mailbox.name, _BATCH
        with self._system.store.read() as tx:
            allowance = self._mailbox.outbound.allowance if self._mailbox.outbound else None
            if allowance is not None:
                number, time = allowance
                limit = min(limit, number - outbox.claimed_since(tx, name, clock.now() - time))
            return outbox.due(tx, limit, rendered=True, mailbox=name) if limit > 0 else []

    def hand_over(self, transport: MailTransport, items: Sequence[OutboxItem]) -> bool:
        """Send these; whether there may be more to be sent.

        Raises
        ------
        MailboxError
            When the server wants no further mail now.
        """
        again = [one for one in items if is_proven(self._system, self._mailbox, one, self._report)]
        waiting = [one for one in reversed(items) if one not in again]
        with self._system.store.write() as tx:
            claimed = self._claim(tx, waiting)
        while claimed is not None:
            item, raw = claimed
            checkpoint.reach("send.claimed")
            error: SendError | None = None
            try:
                delivery = transport.send(Envelope(item.sender, open_recipients(item)), raw)
            except SendError as refused:
                error = refused
            checkpoint.reach("send.handed_over")
            away = _turned_away(self._mailbox, error)
            with self._system.store.write() as tx:
                if error is not None:
                    state = settle_error(tx, item, error, self._mailbox)
                else:
                    state = settle(tx, item, delivery, self._mailbox)
                claimed = self._claim(tx, waiting) if away is None else None
            self._tell(item, state, error)
            if away is not None:
                raise away
        return len(items) == _BATCH

    def _claim(
        self, tx: sa.Connection, waiting: list[OutboxItem]
    ) -> tuple[OutboxItem, bytes] | None:
        """The next mail that nobody else has, with its bytes; None where there is none."""
        while waiting:
            item = waiting.pop()
            if item.blob is None or not outbox.claim(tx, item.id, owner()):
                continue
            raw = blobs.get_whole(tx, [item.blob]).get(item.blob)
            if raw is not None:
                return item, raw
            compose_anew(tx, item, self._mailbox)
            self._report.errors.append(
                f"Outbox {item.id} to {', '.join(item.recipients)}: its bytes are missing or "
                "damaged in the database; it is composed anew in the next pass"
            )
        return None

    def _tell(self, item: OutboxItem, state: OutboxState | None, error: SendError | None) -> None:
        if state is None:
            return
        self._report.counts[_COUNTED[state]] += 1
        if error is not None:
            self._report.errors.append(f"Outbox {item.id} to {', '.join(item.recipients)}: {error}")
