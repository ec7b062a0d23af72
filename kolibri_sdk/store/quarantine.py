"""Mails that lie on a server and are not in the table: which, why, and taking them in after all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import ledger

__all__ = ["STATES", "count", "release", "select"]

#: The states that :func:`release` takes a mail from, and what each means.
STATES = {
    "quarantined": "could not be fetched, and was given up",
    "failing": "cannot be fetched, and is tried again",
    "passed_over": "others had read it before the first run",
    "too_old": "is older than the mailbox's `since`",
}


def _chosen(
    mailbox: str | None, states: Sequence[str], folder: str | None
) -> sa.ColumnElement[bool]:
    return sa.and_(
        ledger.c.state.in_(states),
        ledger.c.uidvalidity >= 0,
        sa.true() if mailbox is None else ledger.c.mailbox == mailbox,
        sa.true() if folder is None else ledger.c.folder == folder,
    )


def select(
    tx: sa.Connection,
    states: Sequence[str],
    *,
    mailbox: str | None = None,
    folder: str | None = None,
) -> list[dict[str, Any]]:
    """The entries in these states, oldest first."""
    query = sa.select(ledger).where(_chosen(mailbox, states, folder))
    ordered = query.order_by(ledger.c.seen_at, ledger.c.mailbox, ledger.c.folder, ledger.c.uid)
    return [dict(row) for row in tx.execute(ordered).mappings()]


def count(tx: sa.Connection) -> dict[str, int]:
    """Mailbox → how many mails were given up."""
    given_up = _chosen(None, ["quarantined"], None)
    query = sa.select(ledger.c.mailbox, sa.func.count()).where(given_up)
    return {row[0]: row[1] for row in tx.execute(query.group_by(ledger.c.mailbox))}


def release(
    tx: sa.Connection,
    mailbox: str,
    states: Sequence[str],
    *,
    folder: str | None = None,
    uids: Sequence[str] | None = None,
) -> int:
    """Have mails fetched by the next pass, as if they were new; how many there were."""
    change = (
        sa.update(ledger)
        .where(_chosen(mailbox, states, folder))
        .values(state="listed", attempts=0, retry_at=None, error="")
    )
    if uids is None:
        return tx.execute(change).rowcount
    chunks = query_in_chunks(uids)
    return sum(tx.execute(change.where(ledger.c.uid.in_(chunk))).rowcount for chunk in chunks)
