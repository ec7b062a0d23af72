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
    "add",
    "failures",
    "folder_state",
    "known_contents",
    "known_uids",
    "mark_done",
    "note_failure",
    "save_folder_state",
    "undone",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One mail seen on a server; ``state`` is stored, duplicate, passed_over or failing."""

    uid: str
    state: str
    content: str | None = None
    message: int | None = None
    server_done: bool = False


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
    """Which of these UIDs need not be fetched again; a failing one needs to."""
    known: set[str] = set()
    for chunk in query_in_chunks(uids):
        query = sa.select(ledger.c.uid).where(
            _folder(mailbox, folder, uidvalidity),
            ledger.c.uid.in_(chunk),
            ledger.c.state != "failing",
        )
        known.update(tx.scalars(query))
    return known


def known_contents(tx: sa.Connection, mailbox: str, contents: Iterable[str]) -> dict[str, int]:
    """Which of these bytes were fetched from the mailbox before: content → message id."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(contents):
        query = sa.select(ledger.c.content, sa.func.min(ledger.c.message)).where(
            ledger.c.mailbox == mailbox, ledger.c.content.in_(chunk), ledger.c.message.is_not(None)
        )
        found.update({row[0]: row[1] for row in tx.execute(query.group_by(ledger.c.content))})
    return found


def add(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, entries: Sequence[Entry]
) -> None:
    """Enter these mails; a failing one that came through at last is overwritten.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        When another poller entered one of them meanwhile.
    """
    if not entries:
        return
    uids = [entry.uid for entry in entries]
    for chunk in query_in_chunks(uids):
        tx.execute(
            sa.delete(ledger).where(
                _folder(mailbox, folder, uidvalidity),
                ledger.c.uid.in_(chunk),
                ledger.c.state == "failing",
            )
        )
    now = clock.now()
    place = {"mailbox": mailbox, "folder": folder, "uidvalidity": uidvalidity, "seen_at": now}
    tx.execute(
        sa.insert(ledger),
        [
            {
                **place,
                "uid": entry.uid,
                "state": entry.state,
                "content": entry.content,
                "message": entry.message,
                "server_done": entry.server_done,
            }
            for entry in entries
        ],
    )


def note_failure(
    tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int, uid: str, error: str
) -> int:
    """Count one more failed try to fetch this mail; how many there were."""
    values = {
        "mailbox": mailbox,
        "folder": folder,
        "uidvalidity": uidvalidity,
        "uid": uid,
        "state": "failing",
        "server_done": True,
        "attempts": 1,
        "error": error,
        "seen_at": clock.now(),
    }
    insert = upsert(tx, ledger).values(**values)
    statement = insert.on_conflict_do_update(
        index_elements=["mailbox", "folder", "uidvalidity", "uid"],
        set_={"attempts": ledger.c.attempts + 1, "error": error},
    ).returning(ledger.c.attempts)
    return int(tx.execute(statement).scalar_one())


def failures(tx: sa.Connection) -> list[dict[str, Any]]:
    """The mails that are listed by a server and cannot be fetched."""
    query = sa.select(ledger).where(ledger.c.state == "failing").order_by(ledger.c.seen_at)
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
