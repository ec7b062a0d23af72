"""What a person does with mail in the outbox: let it go, cancel it, have it tried again."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem
from kolibri_sdk.store import activity, allowance, messages, outbox

__all__ = ["cancel", "release", "retry"]

_HAVE_IT = frozenset({"accepted", "delayed"})


def release(tx: sa.Connection, numbers: Sequence[int]) -> int:
    """Let these held mails go out in the next pass; how many. No cap holds them again.

    Raises
    ------
    NotFound
        When there is no mail of such a number.
    ConfigurationError
        When one of them is not held.
    """
    items = _in_state(tx, numbers, (OutboxState.HELD,), "released")
    outbox.move(tx, [item.id for item in items], OutboxState.QUEUED, due_at=clock.now())
    for item in items:
        messages.save_outgoing(tx, item.message, state=MessageState.QUEUED.value)
    return len(items)


def cancel(tx: sa.Connection, numbers: Sequence[int], by: str) -> int:
    """See that these mails, held or queued, never go out; how many. Their streams say who did.

    A mail that some of its recipients have got already counts as sent; the others do not get it.

    Raises
    ------
    NotFound
        When there is no mail of such a number.
    ConfigurationError
        When one of them is neither held nor queued.
    """
    items = _in_state(tx, numbers, (OutboxState.HELD, OutboxState.QUEUED), "cancelled")
    reason = f"cancelled by {by}"
    partly = [item for item in items if _left(item) != list(item.recipients)]
    unsent = [item for item in items if item not in partly]
    outbox.move(tx, [item.id for item in unsent], OutboxState.CANCELLED, error=reason)
    allowance.give_back(tx, [item.id for item in unsent])
    for item in unsent:
        messages.save_outgoing(tx, item.message, state=MessageState.UNSENT.value, error=reason)
    for item in partly:
        told = f"{reason} for {', '.join(_left(item))}"
        outbox.move(tx, [item.id], OutboxState.SENT, error=told)
        messages.save_outgoing(tx, item.message, state=MessageState.SENT.value, error=told)
    entries = [_entry(item, by) for item in items if item.request.get("noted", True)]
    activity.add(tx, [entry for entry in entries if entry is not None])
    return len(items)


def retry(tx: sa.Connection, numbers: Sequence[int], by: str) -> int:
    """Have these mails, failed, uncertain or queued, sent in the next pass; how many.

    They go to those who did not get them, with the Message-ID that they had. Their tries are
    counted anew.

    Raises
    ------
    NotFound
        When there is no mail of such a number.
    ConfigurationError
        When one of them is neither failed, uncertain nor queued.
    """
    wanted = (OutboxState.FAILED, OutboxState.UNCERTAIN, OutboxState.QUEUED)
    items = _in_state(tx, numbers, wanted, "tried again")
    for item in items:
        kept = {who: dict(one) for who, one in item.results.items() if one["status"] in _HAVE_IT}
        outbox.move(tx, [item.id], OutboxState.QUEUED, due_at=clock.now(), attempts=0, results=kept)
        messages.save_outgoing(tx, item.message, state=MessageState.QUEUED.value, error="")
    noted = [one for one in items if one.state is not OutboxState.QUEUED]
    entries = [
        _entry(item, by, "mail_queued", "tried again")
        for item in noted
        if item.request.get("noted", True)
    ]
    activity.add(tx, [entry for entry in entries if entry is not None])
    return len(items)


def _entry(
    item: OutboxItem, by: str, kind: str = "mail_cancelled", done: str = "cancelled"
) -> ActivityEntry | None:
    if item.record is None:
        return None
    return ActivityEntry(
        record=item.record,
        kind=kind,
        at=clock.now(),
        text=f"To {', '.join(_left(item))}: {done} by {by}",
        author=by,
        message=item.message,
        cause=item.cause,
    )


def _in_state(
    tx: sa.Connection, numbers: Sequence[int], states: Sequence[OutboxState], done: str
) -> list[OutboxItem]:
    items = outbox.of_ids(tx, numbers)
    if missing := sorted(set(numbers) - {item.id for item in items}):
        raise NotFound(
            f"There is no outbox mail {', '.join(map(str, missing))}", "Run: kolibri outbox list"
        )
    for item in items:
        if item.state not in states:
            raise _wrong_state(item, states, done)
    return items


def _wrong_state(item: OutboxItem, states: Sequence[OutboxState], done: str) -> ConfigurationError:
    if item.state is OutboxState.SENDING:
        return ConfigurationError(
            f"Outbox mail {item.id} is being sent just now and cannot be {done}",
            f"See what becomes of it: kolibri outbox show {item.id}",
        )
    if item.state is OutboxState.SENT:
        left = _left(item)
        told = f"; it did not reach {', '.join(left)}" if left else ""
        return ConfigurationError(
            f"Outbox mail {item.id} has been sent and cannot be {done}{told}",
            "Write a new mail to whoever is to get it" if left else "",
        )
    if item.state is OutboxState.UNCERTAIN:
        return ConfigurationError(
            f"Outbox mail {item.id} may have gone out and cannot be {done}",
            f"Say that it arrived: kolibri outbox confirm {item.id}; or send it once more: "
            f"kolibri outbox retry {item.id}",
        )
    named = " or ".join(state.value for state in states)
    return ConfigurationError(
        f"Outbox mail {item.id} is {item.state.value} and cannot be {done}",
        f"Name mails that are {named}: kolibri outbox list --state {states[0].value}",
    )


def _left(item: OutboxItem) -> list[str]:
    """Those of its recipients who have not got it."""
    had = {who for who, one in item.results.items() if one.get("status") in _HAVE_IT}
    return [who for who in item.recipients if who not in had]
