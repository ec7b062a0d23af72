"""Stage 5: the outbox is composed, claimed, sent and settled (S2, S12, S13, S22)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest

import sqlalchemy as sa

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.errors import MailboxError, OperationalError, SendError, ServerBusy
from kolibri_sdk.mailboxes import MailTransport
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Delivery, Envelope, OutboxState
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


@dataclass(frozen=True, slots=True)
class _Said:
    """What the server said of a mail that was handed over, or why it was not."""

    item: OutboxItem
    delivery: Delivery = field(default_factory=lambda: Delivery(()))
    error: SendError | None = None


_Turn = Future[bool]


class _Sending:
    """The mails of one mailbox in one pass: claimed (committed), handed over, settled.

    A crash after the claim is told as uncertain, not hidden. A mail is settled and the next one
    claimed in one transaction, while that one's sender and recipients are being named; it is
    handed over when its claim is committed, and not before.
    """

    def __init__(self, system: System, mailbox: Mailbox, report: PassReport) -> None:
        self._system = system
        self._mailbox = mailbox
        self._report = report
        self._owner = owner()

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
        waiting = [one for one in items if one not in again]
        raw = self._bytes_of(waiting[0]) if waiting else None
        said: _Said | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="kolibri-outbox") as clerk:
            for item, following in zip_longest(waiting, waiting[1:]):
                turn = clerk.submit(self._turn, said, item, raw is None)
                read = clerk.submit(self._bytes_of, following)
                said = self._send(transport, item, raw, turn)
                raw = read.result()
                if said is not None and (away := _turned_away(self._mailbox, said.error)):
                    self._turn(said)
                    raise away
            self._turn(said)
        return len(items) == _BATCH

    def _send(
        self, transport: MailTransport, item: OutboxItem, raw: bytes | None, turn: _Turn
    ) -> _Said | None:
        """What the server said of one mail; None where somebody else has it, or it has no bytes."""
        if raw is None:
            turn.result()
            return None
        let_go = False

        def may() -> bool:
            nonlocal let_go
            let_go = turn.result()
            if let_go:
                checkpoint.reach("send.claimed")
            return let_go

        said: _Said | None = None
        try:
            delivery = transport.send(Envelope(item.sender, open_recipients(item)), raw, may)
            said = _Said(item, delivery=delivery)
        except SendError as refused:
            said = _Said(item, error=refused)
        except BaseException:
            if not let_go and turn.result():  # nothing of it has left us
                with self._system.store.write() as tx:
                    outbox.settle(tx, item, OutboxState.QUEUED, due_at=clock.now())
            raise
        if not turn.result():
            return None
        checkpoint.reach("send.handed_over")
        return said

    def _turn(self, said: _Said | None, item: OutboxItem | None = None, lost: bool = False) -> bool:
        """Settle the mail before, and claim this one: whether it is ours to hand over."""
        claimed = False
        state: OutboxState | None = None
        if said is not None or item is not None:
            with self._system.store.write() as tx:
                state = self._settle(tx, said) if said is not None else None
                if item is not None and item.blob is not None:
                    claimed = outbox.claim(tx, item.id, self._owner)
                if item is not None and claimed and lost:
                    compose_anew(tx, item, self._mailbox)
        if said is not None:
            self._tell(said, state)
        if item is not None and claimed and lost:
            claimed = False
            self._report.errors.append(
                f"Outbox {item.id} to {', '.join(item.recipients)}: its bytes are missing or "
                "damaged in the database; it is composed anew in the next pass"
            )
        return claimed

    def _bytes_of(self, item: OutboxItem | None) -> bytes | None:
        """What a mail says; None where there is none, or its bytes are lost."""
        if item is None or item.blob is None:
            return None
        with self._system.store.read() as tx:
            return blobs.get_whole(tx, [item.blob]).get(item.blob)

    def _settle(self, tx: sa.Connection, said: _Said) -> OutboxState | None:
        if said.error is not None:
            return settle_error(tx, said.item, said.error, self._mailbox)
        return settle(tx, said.item, said.delivery, self._mailbox)

    def _tell(self, said: _Said, state: OutboxState | None) -> None:
        if state is None:
            return
        self._report.counts[_COUNTED[state]] += 1
        if said.error is not None:
            people = ", ".join(said.item.recipients)
            self._report.errors.append(f"Outbox {said.item.id} to {people}: {said.error}")
