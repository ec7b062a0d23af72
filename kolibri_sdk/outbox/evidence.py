"""What tells that a mail went out of which nobody knew: it came back, or somebody answered it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox.settle import settle_proven
from kolibri_sdk.store import messages, outbox

__all__ = ["SOUGHT", "confirm", "look_again", "prove", "told_by_mail"]

SOUGHT = timedelta(days=3)  #: for so long evidence is looked for
_FIRST_LOOK = timedelta(minutes=1)
_LONGEST = timedelta(hours=1)


def told_by_mail(tx: sa.Connection, item: OutboxItem) -> str:
    """Which mail that came in shows that this one went out; empty where none does.

    Nobody but those who got it knows its Message-ID.
    """
    if number := messages.came_back(tx, item.message_id):
        return f"it came back as message {number}"
    if item.record is not None and (
        number := messages.answer_to(tx, item.record, item.message_id, after=item.message)
    ):
        return f"message {number} answers it"
    return ""


def prove(tx: sa.Connection, item: OutboxItem, why: str, mailbox: Mailbox | None) -> bool:
    """Settle a mail as sent that was uncertain; False when somebody did before."""
    results: dict[str, Mapping[str, Any]] = dict(item.results)
    for address in item.recipients:
        if results.get(address, {}).get("status") in (None, "uncertain"):
            results[address] = {"status": "accepted", "code": None, "answer": why}
    return settle_proven(tx, item, results, why, mailbox)


def look_again(tx: sa.Connection, item: OutboxItem) -> None:
    """Look for evidence again later, after ever longer waits, for three days."""
    now = clock.now()
    since = outbox.claimed_at(tx, item.id) or now
    wait = min(max(now - since, _FIRST_LOOK), _LONGEST)
    due = now + wait if now - since < SOUGHT else now + timedelta(days=36_500)
    outbox.save(tx, item.id, due_at=due)


def confirm(tx: sa.Connection, number: int, by: str) -> None:
    """A person says that an uncertain mail has arrived.

    Raises
    ------
    ConfigurationError
        When the mail is not uncertain.
    """
    for item in outbox.of_ids(tx, [number]):
        if item.state is not OutboxState.UNCERTAIN:
            raise ConfigurationError(
                f"Outbox mail {number} is {item.state.value}: there is nothing to confirm",
                "Name one that is uncertain: kolibri outbox list --state uncertain",
            )
        prove(tx, item, f"{by} says that it arrived", None)
