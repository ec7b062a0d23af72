"""That the database was restored from a backup, and which mails may have been answered before."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.message import MessageState
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.store import ledger
from kolibri_sdk.store.schema import mailbox_state, message, outbox

__all__ = ["answered_before", "note"]

_SKEW = timedelta(minutes=5)  #: the clocks of the mail server and of the database's writer differ


def note(tx: sa.Connection, mailbox: str, reason: str) -> int:
    """Write down that the database is one of the past, and hold what it believes to be unsent.

    Returns
    -------
    int
        How many queued mails are held now, with this reason.
    """
    ledger.save_folder_state(tx, mailbox, "", restored_at=clock.now())
    queued = sa.and_(outbox.c.mailbox == mailbox, outbox.c.state == OutboxState.QUEUED.value)
    held = sa.update(outbox).where(queued).values(state=OutboxState.HELD.value, error=reason)
    of = tx.scalars(held.returning(outbox.c.message)).all()
    for number in of:
        state = MessageState.HELD.value
        tx.execute(sa.update(message).where(message.c.id == number).values(state=state))
    return len(of)


def answered_before(tx: sa.Connection, number: int) -> datetime | None:
    """When the database was restored, if this mail lay in its mailbox by then; else None.

    What was done about such a mail after the backup, the database cannot know.
    """
    query = (
        sa.select(mailbox_state.c.restored_at, message.c.received_at)
        .join(message, message.c.mailbox == mailbox_state.c.mailbox)
        .where(
            message.c.id == number,
            mailbox_state.c.folder == "",
            mailbox_state.c.restored_at.is_not(None),
        )
    )
    row = tx.execute(query).one_or_none()
    if row is None or row.received_at is None or row.received_at > row.restored_at + _SKEW:
        return None
    restored: datetime = row.restored_at
    return restored
