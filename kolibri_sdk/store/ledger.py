"""The ledger: which mails of a server were seen, and how far each folder was read (S15, S16)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import ledger, mailbox_state

__all__ = [
    "Entry",
    "FolderState",
    "enlist",
    "failures",
    "folder_state",
    "known_contents",
    "known_uids",
    "mark_done",
    "save_folder_state",
    "settle",
    "still_open",
    "to_fetch",
    "undone",
]


_OPEN = ("listed", "failing")


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a mail seen on a server.

    ``state`` is ``stored``, ``duplicate`` (the same bytes came by this mailbox before),
    ``passed_over`` (there before the first run and not asked for), ``failing`` (listed, cannot be
    fetched, is tried again) or ``quarantined`` (given up; visible, can be released).
    """

    uid: str
    state: str
    content: str | None = None
    message: int | None = None
    server_done: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class FolderState:
    """How far a folder was read; ``high_water`` is the highest UID ever listed in it."""

    uidvalidity: int | None = None
    high_water: int | None = None
    last_run: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None


def _folder(mailbox: str, folder: str, uidvalidity: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        ledger.c.mailbox == mailbox,
        ledger.c.folder == folder,
        ledger.c.uidvalidity == uidvalidity,
    )


def known_uids(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uids: Iterable[str]
) -> set[str]:
    """Which of these UIDs the ledger knows, whatever became of them."""
    known: set[str] = set()
    for chunk in query_in_chunks(uids):
        query = sa.select(ledger.c.uid).where(
            _folder(mailbox, folder, uidvalidity), ledger.c.uid.in_(chunk)
        )
        known.update(tx.scalars(query))
    return known


def enlist(
    tx: sa.Connection,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    uids: Iterable[str],
    state: str = "listed",
) -> None:
    """Enter mails before they are fetched, so that one listed once is never forgotten.

    Between listing and fetching a colleague may open a mail, or this process may end: the mail
    would not be unseen any more, and yet it has to be fetched.
    """
    now = clock.now()
    rows = [
        {
            "mailbox": mailbox,
            "folder": folder,
            "uidvalidity": uidvalidity,
            "uid": uid,
            "state": state,
            "server_done": True,
            "seen_at": now,
        }
        for uid in uids
    ]
    if rows:
        tx.execute(upsert(tx, ledger).on_conflict_do_nothing(), rows)


def to_fetch(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int) -> list[str]:
    """The UIDs that were listed and are not in the database yet."""
    query = sa.select(ledger.c.uid).where(
        _folder(mailbox, folder, uidvalidity), ledger.c.state.in_(_OPEN)
    )
    return list(tx.scalars(query))


def still_open(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uids: Iterable[str]
) -> dict[str, int]:
    """Which of these nobody has fetched meanwhile, locked for this transaction: UID → tries."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(uids):
        query = (
            sa.select(ledger.c.uid, ledger.c.attempts)
            .where(
                _folder(mailbox, folder, uidvalidity),
                ledger.c.uid.in_(chunk),
                ledger.c.state.in_(_OPEN),
            )
            .with_for_update()
        )
        found.update({row.uid: row.attempts for row in tx.execute(query)})
    return found


def known_contents(tx: sa.Connection, mailbox: str, contents: Iterable[str]) -> dict[str, int]:
    """Which of these bytes were fetched from the mailbox before: content → message id."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(contents):
        query = sa.select(ledger.c.content, sa.func.min(ledger.c.message)).where(
            ledger.c.mailbox == mailbox, ledger.c.content.in_(chunk), ledger.c.message.is_not(None)
        )
        found.update({row[0]: row[1] for row in tx.execute(query.group_by(ledger.c.content))})
    return found


def settle(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, entries: Sequence[Entry]
) -> None:
    """Write down what became of listed mails."""
    if not entries:
        return
    this = ledger.c.uid == sa.bindparam("b_uid")
    update = sa.update(ledger).where(_folder(mailbox, folder, uidvalidity), this)
    tx.execute(
        update.values(attempts=ledger.c.attempts + 1),
        [
            {
                "b_uid": entry.uid,
                "state": entry.state,
                "content": entry.content,
                "message": entry.message,
                "server_done": entry.server_done,
                "error": entry.error,
            }
            for entry in entries
        ],
    )


def failures(tx: sa.Connection) -> list[dict[str, Any]]:
    """The mails that a server lists and that cannot be fetched."""
    query = (
        sa.select(ledger)
        .where(ledger.c.state.in_(("failing", "quarantined")))
        .order_by(ledger.c.seen_at)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def undone(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int) -> list[str]:
    """The UIDs that are safe in the database and not yet marked on the server."""
    query = sa.select(ledger.c.uid).where(
        _folder(mailbox, folder, uidvalidity), sa.not_(ledger.c.server_done)
    )
    return list(tx.scalars(query))


def mark_done(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uids: Iterable[str]
) -> None:
    """Note that the server was told about these mails."""
    for chunk in query_in_chunks(uids):
        tx.execute(
            sa.update(ledger)
            .where(_folder(mailbox, folder, uidvalidity), ledger.c.uid.in_(chunk))
            .values(server_done=True)
        )


def folder_state(tx: sa.Connection, mailbox: str, folder: str) -> FolderState:
    """How far this folder was read; an empty state before the first run."""
    columns = [mailbox_state.c[name] for name in FolderState.__dataclass_fields__]
    query = sa.select(*columns).where(
        mailbox_state.c.mailbox == mailbox, mailbox_state.c.folder == folder
    )
    row = tx.execute(query).mappings().one_or_none()
    return FolderState(**row) if row else FolderState()


def save_folder_state(tx: sa.Connection, mailbox: str, folder: str, **values: Any) -> None:
    """Set these columns of the folder's state, whether or not it has one."""
    insert = upsert(tx, mailbox_state).values(mailbox=mailbox, folder=folder, **values)
    tx.execute(insert.on_conflict_do_update(index_elements=["mailbox", "folder"], set_=values))
