"""The ledger: which mails of a server were seen, and how far each folder was read (S15, S16)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import WAITING, ledger, mailbox_state, message

__all__ = [
    "LEFT",
    "WAITS",
    "Entry",
    "FolderState",
    "enlist",
    "folder_state",
    "in_folder",
    "known_contents",
    "mark_done",
    "note_rest",
    "save_folder_state",
    "settle",
    "states",
    "still_open",
    "to_fetch",
    "undone",
]


_OPEN = ("listed", "failing")
LEFT = ("gone", "passed_over", "too_old")  #: states of mail that was not fetched, and is not to be
# As bare text: SQLite finds the index only where it reads these very words.
WAITS = sa.text(WAITING)  #: an entry that is not settled
_CHUNK = 1_000  #: rows entered at a time, so that a first import of any size takes little memory


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a mail seen on a server.

    ``state`` is ``stored``, ``duplicate`` (the same bytes came by this mailbox before),
    ``failing`` (listed, cannot be fetched, is tried again at ``retry_at``), ``quarantined`` (given
    up; visible, can be released) or ``gone`` (removed by somebody else before it was fetched).
    """

    uid: str
    state: str
    content: str | None = None
    message: int | None = None
    server_done: bool = True
    error: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FolderState:
    """How far a folder was read.

    ``high_water`` is the highest UID ever listed in it; up to ``confirmed`` everything was listed
    in two passes, so that an answer with a hole in it loses nothing.
    """

    uidvalidity: int | None = None
    high_water: int | None = None
    confirmed: int | None = None
    began_at: datetime | None = None
    last_run: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None


def in_folder(mailbox: str, folder: str, uidvalidity: int) -> sa.ColumnElement[bool]:
    """The entries of a folder under one UIDVALIDITY."""
    return sa.and_(
        ledger.c.mailbox == mailbox,
        ledger.c.folder == folder,
        ledger.c.uidvalidity == uidvalidity,
    )


def states(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uids: Iterable[str]
) -> dict[str, str]:
    """What became of those of these UIDs that the ledger knows: UID → state."""
    known: dict[str, str] = {}
    for chunk in query_in_chunks(uids):
        query = sa.select(ledger.c.uid, ledger.c.state).where(
            in_folder(mailbox, folder, uidvalidity), ledger.c.uid.in_(chunk)
        )
        known.update((row.uid, row.state) for row in tx.execute(query))
    return known


def enlist(
    tx: sa.Connection,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    uids: Iterable[str],
    state: str = "listed",
    *,
    sizes: Mapping[str, int | None] | None = None,
) -> None:
    """Enter mails before they are fetched, so that one listed once is never forgotten.

    Between listing and fetching a colleague may open a mail, or this process may end: the mail
    would not be unseen any more, and yet it has to be fetched. Entries that are there already stay
    as they are, but for those that were never fetched and are wanted now.
    """
    now = clock.now()
    insert = upsert(tx, ledger)
    back = {name: insert.excluded[name] for name in ("state", "size", "error", "seen_at")}
    insert = insert.on_conflict_do_update(
        index_elements=["mailbox", "folder", "uidvalidity", "uid"],
        set_={**back, "attempts": 0, "retry_at": None},
        where=sa.or_(*(ledger.c.state == state for state in LEFT)),
    )
    for some in _batched(uids, _CHUNK):
        rows = [
            {
                "mailbox": mailbox,
                "folder": folder,
                "uidvalidity": uidvalidity,
                "uid": uid,
                "state": state,
                "size": sizes.get(uid) if sizes else None,
                "server_done": True,
                "error": "",
                "seen_at": now,
            }
            for uid in some
        ]
        tx.execute(insert, rows)


def _batched(uids: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(uids)
    while some := list(islice(rest, size)):
        yield some


def to_fetch(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, *, longest_wait: timedelta
) -> list[str]:
    """The UIDs that were listed and are not in the database yet, and whose time has come.

    One that would have to wait longer than ``longest_wait`` is due: the clock was set back.
    """
    now = clock.now()
    due = sa.or_(
        ledger.c.retry_at.is_(None),
        ledger.c.retry_at <= now,
        ledger.c.retry_at > now + longest_wait,
    )
    query = sa.select(ledger.c.uid).where(
        in_folder(mailbox, folder, uidvalidity), WAITS, ledger.c.state.in_(_OPEN), due
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
                in_folder(mailbox, folder, uidvalidity),
                ledger.c.uid.in_(chunk),
                ledger.c.state.in_(_OPEN),
            )
            .with_for_update()
        )
        found.update({row.uid: row.attempts for row in tx.execute(query)})
    return found


def known_contents(tx: sa.Connection, mailbox: str, contents: Iterable[str]) -> dict[str, int]:
    """Which of these bytes were fetched from the mailbox before: content → message id.

    A message that is not in the table any more does not count: its mail would be lost.
    """
    found: dict[str, int] = {}
    for chunk in query_in_chunks(contents):
        query = (
            sa.select(ledger.c.content, sa.func.min(ledger.c.message))
            .join(message, message.c.id == ledger.c.message)
            .where(ledger.c.mailbox == mailbox, ledger.c.content.in_(chunk))
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
    update = sa.update(ledger).where(in_folder(mailbox, folder, uidvalidity), this)
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
                "retry_at": entry.retry_at,
            }
            for entry in entries
        ],
    )


def undone(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int) -> list[str]:
    """The UIDs that are safe in the database and not yet marked on the server."""
    query = sa.select(ledger.c.uid).where(
        in_folder(mailbox, folder, uidvalidity), sa.not_(ledger.c.server_done)
    )
    return list(tx.scalars(query))


def mark_done(
    tx: sa.Connection,
    mailbox: str,
    folder: str,
    uidvalidity: int,
    uids: Iterable[str],
    told: str = "",
) -> None:
    """Note that the server was told about these mails, and what: ``seen`` or ``delete``."""
    for chunk in query_in_chunks(uids):
        tx.execute(
            sa.update(ledger)
            .where(in_folder(mailbox, folder, uidvalidity), ledger.c.uid.in_(chunk))
            .values(server_done=True, server_told=told)
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


def note_rest(tx: sa.Connection, mailboxes: Iterable[str], at: datetime) -> None:
    """Note that these mailboxes, which were read before, are well, and hold nothing new."""
    if rows := [{"box": name, "at": at} for name in mailboxes]:
        tx.execute(_RESTED, rows)


_RESTED = (
    sa.update(mailbox_state)
    .where(mailbox_state.c.mailbox == sa.bindparam("box"), mailbox_state.c.folder == "")
    .values(last_success=sa.bindparam("at"), last_error="")
)
