"""How many rows are in which state: what an administrator wants to see at a glance."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.ledger import WAITS
from kolibri_sdk.store.schema import (
    event,
    ledger,
    mailbox_state,
    message,
    outbox,
    sent_copy,
    waiting,
)

__all__ = ["anything_waits", "count_messages", "count_outbox", "mailbox_fares", "rests"]

#: The states in which a pass may have something to do with a row.
_WAITING = {
    message: ("fetched", "parsed", "failed"),
    event: ("new", "failed"),
    outbox: ("queued", "sending"),
}


def count_messages(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(mailbox, state) → how many KolibriMessages."""
    return _count(tx, message)


def count_outbox(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(mailbox, state) → how many mails in the outbox."""
    return _count(tx, outbox)


def _count(tx: sa.Connection, table: sa.Table) -> dict[tuple[str, str], int]:
    key = (table.c.mailbox, table.c.state)
    query = sa.select(*key, sa.func.count()).group_by(*key).order_by(*key)
    return {(mailbox, state): number for mailbox, state, number in tx.execute(query)}


def mailbox_fares(tx: sa.Connection) -> dict[str, tuple[datetime | None, str]]:
    """Mailbox → when it was last read well, and what went wrong since ("" where nothing did)."""
    query = sa.select(
        mailbox_state.c.mailbox, mailbox_state.c.last_success, mailbox_state.c.last_error
    ).where(mailbox_state.c.folder == "")
    return {mailbox: (success, error) for mailbox, success, error in tx.execute(query)}


def anything_waits(tx: sa.Connection) -> bool:
    """Whether a pass may have anything to do: one question in place of one for each stage."""
    return bool(tx.scalar(_ANYTHING, {"now": clock.now()}))


_ANYTHING = sa.select(
    sa.or_(
        sa.exists().where(outbox.c.state == "uncertain", outbox.c.due_at <= sa.bindparam("now")),
        sa.exists().where(sent_copy.c.state == "due", sent_copy.c.due_at <= sa.bindparam("now")),
        sa.exists().where(waiting.c.state == "waiting", waiting.c.due_at <= sa.bindparam("now")),
        *(
            sa.exists().where(table.c.state == state)
            for table, states in _WAITING.items()
            for state in states
        ),
    )
)


def rests(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uidnext: int) -> bool:
    """Whether nothing of a folder's mails up to this UID is left to be done, in one question."""
    values = {"box": mailbox, "folder": folder, "validity": uidvalidity, "highest": uidnext - 1}
    return bool(tx.scalar(_RESTS, values))


_ITS_ROWS = ledger.c.mailbox == sa.bindparam("box")
_RESTS = sa.select(
    sa.and_(
        sa.exists().where(
            mailbox_state.c.mailbox == sa.bindparam("box"),
            mailbox_state.c.folder == sa.bindparam("folder"),
            mailbox_state.c.uidvalidity == sa.bindparam("validity"),
            mailbox_state.c.high_water >= sa.bindparam("highest"),
            mailbox_state.c.last_run.is_not(None),
        ),
        ~sa.exists().where(_ITS_ROWS, WAITS),
        ~sa.exists().where(_ITS_ROWS, sa.not_(ledger.c.server_done)),
    )
)
