"""UIDs that do not mean the mail any more that the ledger knows by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.ledger import WAITS, in_folder
from kolibri_sdk.store.schema import ledger

__all__ = ["close_others", "reused_uids", "set_aside"]


def reused_uids(
    tx: sa.Connection,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    sizes: Mapping[str, int | None],
) -> set[str]:
    """Which of these listed UIDs must mean another mail than the one that the ledger knows by it.

    A UIDL that is used again (RFC 1939 forbids it, and servers do it) shows in a size that
    changed, or in a mail that we have deleted and that is there again.

    Parameters
    ----------
    sizes : mapping of str to int or None
        UID → the size that the server lists.
    """
    found: set[str] = set()
    for chunk in query_in_chunks(sizes):
        query = sa.select(ledger.c.uid, ledger.c.size, ledger.c.server_told).where(
            in_folder(mailbox, folder, uidvalidity), ledger.c.uid.in_(chunk)
        )
        for row in tx.execute(query):
            size = sizes[row.uid]
            if row.server_told == "delete" or (size and row.size and size != row.size):
                found.add(row.uid)
    return found


def set_aside(
    tx: sa.Connection,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    uids: Iterable[str] | None = None,
) -> None:
    """Let these UIDs (None: all) mean nothing any more, so that they can be listed anew.

    What was fetched under them stays known by its content: the entries move to a UIDVALIDITY below
    zero, which no server has.
    """
    this = sa.and_(ledger.c.mailbox == mailbox, ledger.c.folder == folder)
    lowest = tx.execute(sa.select(sa.func.min(ledger.c.uidvalidity)).where(this)).scalar()
    move = (
        sa.update(ledger)
        .where(in_folder(mailbox, folder, uidvalidity))
        .values(uidvalidity=min(lowest or 0, 0) - 1, server_done=True)
    )
    if uids is None:
        tx.execute(move)
        return
    for chunk in query_in_chunks(uids):
        tx.execute(move.where(ledger.c.uid.in_(chunk)))


def close_others(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, reason: str
) -> None:
    """End what waits under an earlier UIDVALIDITY of the folder: its UIDs mean nothing any more."""
    old = sa.and_(
        ledger.c.mailbox == mailbox,
        ledger.c.folder == folder,
        ledger.c.uidvalidity != uidvalidity,
    )
    tx.execute(sa.update(ledger).where(old, WAITS).values(state="gone", error=reason))
    tx.execute(sa.update(ledger).where(old, sa.not_(ledger.c.server_done)).values(server_done=True))
