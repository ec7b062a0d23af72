"""A bounce and the mail of ours that it returns: the recipient's fate, and the address marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import BounceReport, MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem, StoredMessage
from kolibri_sdk.outbox.enqueue import BOUNCED
from kolibri_sdk.outbox.hold import release as let_go
from kolibri_sdk.reference import ids_of_tokens
from kolibri_sdk.store import activity, bounced, messages, outbox

__all__ = ["clear_bounced", "settle_bounces"]

_OVER = frozenset({OutboxState.SENT, OutboxState.UNCERTAIN, OutboxState.FAILED})


def settle_bounces(tx: sa.Connection, message: StoredMessage, mailbox: Mailbox) -> list[str]:
    """Tell the mails that this bounce returns of it, and mark their recipients' addresses.

    Only what leads back to a mail that we sent counts, and only for those it was sent to: anybody
    can write a bounce, but nobody else knows our Message-IDs and tokens.

    Parameters
    ----------
    message : StoredMessage
        A mail that came in.
    mailbox : Mailbox
        Where it came in.

    Returns
    -------
    list of str
        The addresses that a mail came back from.
    """
    if not message.bounces:
        return []
    names = (*message.bounced, *message.in_reply_to, *message.references)
    items = outbox.of_message_ids(tx, (*names, *ids_of_tokens(message, mailbox)))
    told: list[str] = []
    for item in items:
        found = _recipients(item, message.bounces)
        if found:
            _settle(tx, item, found, message)
            told += found
    return told


def clear_bounced(tx: sa.Connection, address: str, *, release: bool) -> tuple[bool, list[int]]:
    """Take the mark off an address, and queue what was held for it where that is wanted.

    Returns
    -------
    known : bool
        Whether there was a mark.
    released : list of int
        The outbox rows that go out now.
    """
    known = bounced.clear(tx, address)
    waiting = outbox.held_because(tx, address.lower(), BOUNCED) if release else []
    let_go(tx, waiting)
    return known, waiting


def _recipients(item: OutboxItem, reports: tuple[BounceReport, ...]) -> dict[str, BounceReport]:
    """Who of the recipients did not get it.

    A mail to one only came back from him, whatever the address is called behind a forwarding.
    """
    mine = {address.lower(): address for address in item.recipients}
    found = {mine[r.address.lower()]: r for r in reports if r.address.lower() in mine}
    if not found and len(item.recipients) == 1:
        found = {item.recipients[0]: reports[0]}
    return found


def _settle(
    tx: sa.Connection,
    item: OutboxItem,
    found: Mapping[str, BounceReport],
    message: StoredMessage,
) -> None:
    at = message.received_at or clock.now()
    results: dict[str, Mapping[str, Any]] = dict(item.results)
    for address, report in found.items():
        bounced.note(tx, address, report, at=at, message=message.id)
        if results.get(address, {}).get("status") != "bounced":
            results[address] = {
                "status": "bounced" if report.failed else "delayed",
                "code": report.status,
                "answer": report.diagnostic,
                "message": message.id,
            }
    lost = [a for a in item.recipients if results.get(a, {}).get("status") == "bounced"]
    everybody = len(lost) == len(item.recipients)
    state = OutboxState.FAILED if everybody and item.state in _OVER else item.state
    if state is OutboxState.UNCERTAIN:
        state = OutboxState.SENT  # it must have gone out to come back from some of them
    error = "; ".join(_words(address, found[address]) for address in found)
    outbox.note_bounce(tx, item, results, state=state, error=error)
    if state is OutboxState.FAILED and item.state is not OutboxState.FAILED:
        values = {"state": MessageState.UNSENT.value, "error": error}
        messages.save_outgoing(tx, item.message, **values)
    if item.record is not None and item.request.get("noted", True):
        entries = [
            ActivityEntry(
                record=item.record,
                kind="mail_failed",
                at=at,
                text=_words(address, report),
                author=item.mailbox,
                message=item.message,
                cause=f"bounce:{message.id}",
            )
            for address, report in found.items()
            if report.failed
        ]
        activity.add(tx, entries)


def _words(address: str, report: BounceReport) -> str:
    fate = "the mail came back" if report.failed else "the mail is late"
    return f"{address}: {fate} ({report.why[:300]})"
