"""What becomes of a mail that was handed to a server: sent, tried again, failed or uncertain."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import PermanentSendError, SendError, UncertainSendError
from kolibri_sdk.model.mailbox import Mailbox, Retry, SentCopy, Uncertain
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.outbox import Delivery, OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem
from kolibri_sdk.outbox.letter import BY_HAND
from kolibri_sdk.store import activity, messages, outbox, sent_copies, worker

__all__ = [
    "MOST_ATTEMPTS",
    "find_uncertain",
    "open_recipients",
    "owner",
    "settle",
    "settle_error",
    "settle_proven",
]

MOST_ATTEMPTS = Retry().attempts  #: where the mailbox's file says nothing else
_CLAIM_LIFETIME = timedelta(minutes=15)
_RETURNED = frozenset({"bounced", "delayed"})  # what a bounce said, which knows more than a server
_TAKEN = frozenset({"accepted", "delayed"})
_LONGEST = 500  # characters of what a server said that are kept for each recipient


@dataclass(frozen=True, slots=True)
class _Policy:
    """How the mailbox at hand goes about mail that was not taken."""

    retry: Retry = field(default_factory=Retry)
    uncertain: Uncertain = Uncertain.HOLD
    sent_copy: SentCopy | None = None

    @classmethod
    def of(cls, mailbox: Mailbox | None) -> _Policy:
        side = mailbox.outbound if mailbox is not None else None
        return cls() if side is None else cls(side.retry, side.uncertain, side.sent_copy)


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


def settle(
    tx: sa.Connection, item: OutboxItem, delivery: Delivery, mailbox: Mailbox | None = None
) -> OutboxState | None:
    """Write down what the server said of each recipient; None when somebody did before.

    Who was refused for the moment (4yz) is tried again; the others have their fate. What a bounce
    said while the mail was handed over stays.
    """
    item, policy = _as_it_is(tx, item), _Policy.of(mailbox)
    results = _with(
        item, {one.address: (one.status, one.code, one.answer) for one in delivery.results}
    )
    refused = "; ".join(
        f"{address}: {result['code'] or ''} {result['answer']}"
        for address, result in results.items()
        if result["status"] != "accepted"
    )
    if any(results[a]["status"] == "temporary" for a in item.recipients if a in results):
        return _again(tx, item, refused, results, policy)
    return _end(tx, item, _outcome(results), refused, results, policy)


def settle_error(
    tx: sa.Connection, item: OutboxItem, error: SendError, mailbox: Mailbox | None = None
) -> OutboxState | None:
    """Write down that sending failed as a whole, for each recipient that it was tried for."""
    item, policy = _as_it_is(tx, item), _Policy.of(mailbox)
    status = "temporary"
    if isinstance(error, UncertainSendError):
        status = "uncertain"
    elif isinstance(error, PermanentSendError):
        status = "permanent"
    told = dict.fromkeys(open_recipients(item), (status, error.code, error.what[:_LONGEST]))
    results = _with(item, told)
    if status == "permanent":
        return _end(tx, item, _outcome(results), str(error), results, policy)
    if status == "temporary":
        return _again(tx, item, str(error), results, policy)
    return _uncertain(tx, item, str(error), results, policy)


def find_uncertain(
    tx: sa.Connection, mailboxes: Mapping[str, Mailbox] | None = None
) -> list[tuple[OutboxItem, OutboxState]]:
    """Look for what a sender had in hand that is gone, or silent for too long.

    Returns
    -------
    list of (OutboxItem, OutboxState)
        Each such mail, and what it is now: uncertain, or queued where its mailbox wants uncertain
        mail sent again.
    """
    found = []
    for item, claimed_by, claimed_at in outbox.claims(tx):
        if _alive(claimed_by, claimed_at):
            continue
        reason = (
            "the sender stopped between handing the mail over and writing down the answer; "
            "it may have arrived. See: kolibri outbox list"
        )
        now = _as_it_is(tx, item)
        told = dict.fromkeys(open_recipients(now), ("uncertain", None, "the sender stopped"))
        policy = _Policy.of((mailboxes or {}).get(item.mailbox))
        if state := _uncertain(tx, now, reason, _with(now, told), policy):
            found.append((item, state))
    return found


def _alive(claimed_by: str, claimed_at: datetime) -> bool:
    if clock.now() - claimed_at > _CLAIM_LIFETIME:
        return False
    return worker.is_alive(claimed_by) is not False  # None: it is on another machine


def _as_it_is(tx: sa.Connection, item: OutboxItem) -> OutboxItem:
    """The mail with the results that are in the database now, locked until the end."""
    now = outbox.results_of(tx, item.id)
    return item if now is None else replace(item, results=now)


def _with(
    item: OutboxItem, told: Mapping[str, tuple[str, int | None, str]]
) -> dict[str, Mapping[str, Any]]:
    """The results with these; what a bounce said stays."""
    results: dict[str, Mapping[str, Any]] = dict(item.results)
    for address, (status, code, answer) in told.items():
        if results.get(address, {}).get("status") not in _RETURNED:
            results[address] = {"status": status, "code": code, "answer": answer}
    return results


def _outcome(results: Mapping[str, Mapping[str, Any]]) -> OutboxState:
    """Sent, where a server took the mail for somebody it has not come back from."""
    taken = any(result["status"] in _TAKEN for result in results.values())
    return OutboxState.SENT if taken else OutboxState.FAILED


def settle_proven(
    tx: sa.Connection,
    item: OutboxItem,
    results: Mapping[str, Mapping[str, Any]],
    why: str,
    mailbox: Mailbox | None,
) -> bool:
    """Write down that an uncertain mail, or one that waits to be sent again, has gone out."""
    was = (OutboxState.UNCERTAIN, OutboxState.QUEUED)
    told = f"nobody knew whether it went out; it did: {why}"
    return _end(tx, item, _outcome(results), told, results, _Policy.of(mailbox), was) is not None


def _again(
    tx: sa.Connection,
    item: OutboxItem,
    error: str,
    results: Mapping[str, Mapping[str, Any]],
    policy: _Policy,
) -> OutboxState | None:
    tries = item.attempts + 1
    if tries >= policy.retry.attempts:
        told = f"gave up after {tries} tries; last: {error}"
        return _end(tx, item, _outcome(results), told, results, policy)
    due = _next_try(tries, policy.retry)
    done = outbox.settle(tx, item, OutboxState.QUEUED, results=results, error=error, due_at=due)
    return OutboxState.QUEUED if done else None


def _next_try(tries: int, retry: Retry) -> datetime:
    # 2 ** 40 times a minute is beyond any longest wait, and below what a timedelta holds.
    wait = min(retry.first * 2 ** min(tries - 1, 40), retry.longest)
    # Jitter keeps a queue that failed together from coming back together.
    return clock.now() + timedelta(seconds=wait * random.uniform(0.8, 1.2))  # noqa: S311 - no secret


def _uncertain(
    tx: sa.Connection,
    item: OutboxItem,
    error: str,
    results: Mapping[str, Mapping[str, Any]],
    policy: _Policy,
) -> OutboxState | None:
    """Held, or queued once more, as the mailbox has it; evidence may decide until then."""
    tries = item.attempts + 1
    if policy.uncertain is Uncertain.RESEND and tries < policy.retry.attempts:
        told = f"{error} It is sent again with the same Message-ID (uncertain: resend)."
        due = _next_try(tries, policy.retry)
        done = outbox.settle(tx, item, OutboxState.QUEUED, results=results, error=told, due_at=due)
        return OutboxState.QUEUED if done else None
    return _end(tx, item, OutboxState.UNCERTAIN, error, results, policy)


def _end(
    tx: sa.Connection,
    item: OutboxItem,
    state: OutboxState,
    error: str,
    results: Mapping[str, Mapping[str, Any]],
    policy: _Policy,
    was: Sequence[OutboxState] = (OutboxState.SENDING,),
) -> OutboxState | None:
    # What is uncertain is due at once: for a look at whether something tells of it.
    due = clock.now() if state is OutboxState.UNCERTAIN else None
    if not outbox.settle(tx, item, state, results=results, error=error, due_at=due, was=was):
        return None
    if state is OutboxState.SENT and policy.sent_copy is SentCopy.APPEND:
        sent_copies.want(tx, item.id, item.mailbox)
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
