"""How many rows are in which state: what an administrator wants to see at a glance."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk.store.schema import mailbox_state, message, outbox

__all__ = ["count_messages", "count_outbox", "mailbox_fares"]


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
