"""What becomes of a mail that was handed to a server: sent, tried again, failed or uncertain."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import PermanentSendError, SendError, UncertainSendError
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.outbox import Delivery, OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem
from kolibri_sdk.outbox.letter import BY_HAND
from kolibri_sdk.store import activity, messages, outbox, worker

__all__ = ["MOST_ATTEMPTS", "find_uncertain", "open_recipients", "owner", "settle", "settle_error"]

MOST_ATTEMPTS = 12
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)
_CLAIM_LIFETIME = timedelta(minutes=15)
_RETURNED = frozenset({"bounced", "delayed"})  # what a bounce said, which knows more than a server
_TAKEN = frozenset({"accepted", "delayed"})


def owner() -> str:
    """Who claims: machine, process and when it started, so that a dead one is recognised."""
    return worker.identity()


def open_recipients(item: OutboxItem) -> tuple[str, ...]:
    """The recipients that no server has taken or refused for good."""
    settled = {
        address
        for address, result in item.results.items()
        if result["status"] in {"accepted", "permanent"} | _RETURNED
    }
    return tuple(address for address in item.recipients if address not in settled)


def settle(tx: sa.Connection, item: OutboxItem, delivery: Delivery) -> OutboxState | None:
    """Write down what the server said of each recipient; None when somebody did before.

    Who was refused for the moment (4yz) is tried again; the others have their fate. What a bounce
    said while the mail was handed over stays.
    """
    item = _as_it_is(tx, item)
    results: dict[str, Mapping[str, Any]] = dict(item.results)
    for result in delivery.results:
        if results.get(result.address, {}).get("status") in _RETURNED:
            continue
        results[result.address] = {
            "status": result.status,
            "code": result.code,
            "answer": result.answer,
        }
    refused = "; ".join(
        f"{address}: {result['code'] or ''} {result['answer']}"
        for address, result in results.items()
        if result["status"] != "accepted"
    )
    if any(results[a]["status"] == "temporary" for a in item.recipients if a in results):
        return _again(tx, item, refused, results)
    state = OutboxState.SENT if _is_under_way(results) else OutboxState.FAILED
    return _end(tx, item, state, refused, results)


def settle_error(tx: sa.Connection, item: OutboxItem, error: SendError) -> OutboxState | None:
    """Write down that sending failed as a whole."""
    item = _as_it_is(tx, item)
    if isinstance(error, UncertainSendError):
        return _end(tx, item, OutboxState.UNCERTAIN, str(error), item.results)
    if isinstance(error, PermanentSendError):
        return _end(tx, item, OutboxState.FAILED, str(error), item.results)
    return _again(tx, item, str(error), item.results)


def find_uncertain(tx: sa.Connection) -> list[OutboxItem]:
    """Mark as uncertain what a sender had in hand that is gone, or silent for too long."""
    found = []
    for item, claimed_by, claimed_at in outbox.claims(tx):
        if _alive(claimed_by, claimed_at):
            continue
        reason = (
            "the sender stopped between handing the mail over and writing down the answer; "
            "it may have arrived. See: kolibri outbox list"
        )
        if _end(tx, item, OutboxState.UNCERTAIN, reason, _as_it_is(tx, item).results):
            found.append(item)
    return found


def _alive(claimed_by: str, claimed_at: datetime) -> bool:
    if clock.now() - claimed_at > _CLAIM_LIFETIME:
        return False
    return worker.is_alive(claimed_by) is not False  # None: it is on another machine


def _as_it_is(tx: sa.Connection, item: OutboxItem) -> OutboxItem:
    """The mail with the results that are in the database now, locked until the end."""
    return next((replace(item, results=now.results) for now in outbox.of_ids(tx, [item.id])), item)


def _is_under_way(results: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a server took the mail for somebody it has not come back from."""
    return any(result["status"] in _TAKEN for result in results.values())


def _again(
    tx: sa.Connection, item: OutboxItem, error: str, results: Mapping[str, Mapping[str, Any]]
) -> OutboxState | None:
    tries = item.attempts + 1
    if tries >= MOST_ATTEMPTS:
        state = OutboxState.SENT if _is_under_way(results) else OutboxState.FAILED
        return _end(tx, item, state, f"gave up after {tries} tries; last: {error}", results)
    wait = min(_FIRST_WAIT * 2 ** (tries - 1), _LONGEST_WAIT)
    # Jitter keeps a queue that failed together from coming back together.
    due = clock.now() + wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
    done = outbox.settle(tx, item, OutboxState.QUEUED, results=results, error=error, due_at=due)
    return OutboxState.QUEUED if done else None


def _end(
    tx: sa.Connection,
    item: OutboxItem,
    state: OutboxState,
    error: str,
    results: Mapping[str, Mapping[str, Any]],
) -> OutboxState | None:
    if not outbox.settle(tx, item, state, results=results, error=error):
        return None
    sent = state is OutboxState.SENT
    messages.save_outgoing(
        tx,
        item.message,
        state=(MessageState.SENT if sent else MessageState.UNSENT).value,
        error=error,
        **({"sent_at": clock.now()} if sent else {}),
    )
    if item.record is not None and item.request.get("noted", True):
        people = ", ".join(item.recipients)
        text = f"To {people}" + (f" ({error})" if error else "")
        kind = {OutboxState.SENT: "mail_sent", OutboxState.UNCERTAIN: "mail_uncertain"}
        entry = ActivityEntry(
            record=item.record,
            kind=kind.get(state, "mail_failed"),
            at=clock.now(),
            text=text,
            author=item.request.get(BY_HAND, {}).get("author") or item.mailbox,
            message=item.message,
            cause=item.cause,
        )
        activity.add(tx, [entry])
    return state
