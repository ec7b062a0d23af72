"""Servers that turn us away are left alone for a while, longer each time, and that is told."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import LoginRefused, OperationalError, ServerBusy
from kolibri_sdk.store import Store, ledger

__all__ = ["INBOUND", "OUTBOUND", "note_error", "note_success", "pause"]

INBOUND = ""  #: the row of the mailbox's state that tells of reading
OUTBOUND = "→"  #: and the one that tells of sending; no server has a folder of that name

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_LONGEST_FOR_BUSY = timedelta(minutes=15)


def pause(store: Store, mailbox: str, side: str) -> str:
    """Why this side of a mailbox is not tried now; empty when it is."""
    with store.read() as tx:
        state = ledger.folder_state(tx, mailbox, side)
    now = clock.now()
    # A wait that is longer than any: the clock was set back meanwhile.
    if state.retry_at is None or not now < state.retry_at <= now + _LONGEST_WAIT:
        return ""
    doing = "sending: " if side == OUTBOUND else ""
    return (
        f"Mailbox {mailbox}: {doing}the login was refused, or the server too busy, "
        f"{state.failures} times; not tried again before {state.retry_at:%H:%M:%S}Z, so that the "
        "account is not locked"
    )


def note_error(tx: sa.Connection, mailbox: str, side: str, error: OperationalError) -> None:
    """Write down what went wrong; a refused login and a busy server have to be waited for.

    Everything else is tried in the next pass: trying a login every 30 seconds locks the account,
    a server that is down does not mind.
    """
    values = {"last_error": str(error), "failures": 0, "retry_at": None}
    if isinstance(error, LoginRefused | ServerBusy):
        failures = ledger.folder_state(tx, mailbox, side).failures + 1
        busy = isinstance(error, ServerBusy)
        wait = min(_FIRST_WAIT * 2**failures, _LONGEST_FOR_BUSY if busy else _LONGEST_WAIT)
        if isinstance(error, ServerBusy) and error.wait is not None:
            wait = min(max(wait, timedelta(seconds=error.wait)), _LONGEST_WAIT)
        values |= {"failures": failures, "retry_at": clock.now() + wait}
    ledger.save_folder_state(tx, mailbox, side, **values)


def note_success(store: Store, mailbox: str, side: str) -> None:
    """Forget what went wrong before, if anything did."""
    with store.read() as tx:
        state = ledger.folder_state(tx, mailbox, side)
    if state.failures or state.retry_at is not None:
        with store.write() as tx:
            ledger.save_folder_state(tx, mailbox, side, last_error="", failures=0, retry_at=None)
