"""What a person does with mail that is held: let it go, or cancel it, one by one or all of it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem
from kolibri_sdk.store import activity, allowance, messages, outbox

__all__ = ["cancel", "release"]


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

    Raises
    ------
    NotFound
        When there is no mail of such a number.
    ConfigurationError
        When one of them is neither held nor queued.
    """
    items = _in_state(tx, numbers, (OutboxState.HELD, OutboxState.QUEUED), "cancelled")
    reason = f"cancelled by {by}"
    outbox.move(tx, [item.id for item in items], OutboxState.CANCELLED, error=reason)
    allowance.give_back(tx, [item.id for item in items])
    for item in items:
        messages.save_outgoing(tx, item.message, state=MessageState.UNSENT.value, error=reason)
    entries = [_entry(item, by) for item in items if item.request.get("noted", True)]
    activity.add(tx, [entry for entry in entries if entry is not None])
    return len(items)


def _entry(item: OutboxItem, by: str) -> ActivityEntry | None:
    if item.record is None:
        return None
    return ActivityEntry(
        record=item.record,
        kind="mail_cancelled",
        at=clock.now(),
        text=f"To {', '.join(item.recipients)}: cancelled by {by}",
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
            named = " or ".join(state.value for state in states)
            raise ConfigurationError(
                f"Outbox mail {item.id} is {item.state.value} and cannot be {done}",
                f"Name mails that are {named}: kolibri outbox list --state {states[0].value}",
            )
    return items
