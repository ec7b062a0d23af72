"""Historic mail into the central table: each once per mailbox, in states that trigger nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.message import Direction, MessageState, ParsedMail
from kolibri_sdk.store import blobs, ids, messages
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.ledger import LEFT
from kolibri_sdk.store.schema import ledger, mailbox_state, message

__all__ = [
    "Imported",
    "begin",
    "insert",
    "note_place",
    "release",
    "settle",
    "still_open",
    "take_turns",
    "tries",
]

#: The ledger's folder of mail that came from no server's folder: a UIDVALIDITY is never negative.
_PLACE = {"folder": "(imported)", "uidvalidity": -1}
_OPEN = "importing"


@dataclass(frozen=True, slots=True)
class Imported:
    """A mail to be entered: its bytes, where they were found, what the parser made of them.

    ``parsed`` is None where it was not parsed at all; ``error`` says why, and what is incomplete.
    """

    raw: bytes
    blob: str  #: the SHA-256 of its bytes
    source: str
    received_at: datetime | None
    direction: Direction
    parsed: ParsedMail | None
    error: str = ""


def _these(mailbox: str, keys: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        ledger.c.mailbox == mailbox,
        ledger.c.folder == _PLACE["folder"],
        ledger.c.uidvalidity == _PLACE["uidvalidity"],
        ledger.c.uid.in_(keys),
        ledger.c.state == _OPEN,
    )


def tries(tx: sa.Connection, mailbox: str, keys: Iterable[str]) -> dict[str, int]:
    """The mails that an import began and did not end, and how often: content → tries."""
    found: dict[str, int] = {}
    for chunk in query_in_chunks(keys):
        query = sa.select(ledger.c.uid, ledger.c.attempts).where(_these(mailbox, chunk))
        found.update({row.uid: row.attempts for row in tx.execute(query)})
    return found


def begin(tx: sa.Connection, mailbox: str, keys: Iterable[str]) -> None:
    """Count a try for each of these, before the parser sees it: one may take the process down."""
    now = clock.now()
    rows = [
        {
            "mailbox": mailbox,
            **_PLACE,
            "uid": key,
            "state": _OPEN,
            "attempts": 1,
            "server_done": True,
            "seen_at": now,
        }
        for key in keys
    ]
    if rows:
        grown = {"attempts": ledger.c.attempts + 1}
        keyed = ["mailbox", "folder", "uidvalidity", "uid"]
        tx.execute(upsert(tx, ledger).on_conflict_do_update(index_elements=keyed, set_=grown), rows)


def release(tx: sa.Connection, mailbox: str, keys: Iterable[str]) -> None:
    """Take the tries back: it was not these mails that kept the import from going on."""
    for chunk in query_in_chunks(keys):
        fewer = {"attempts": ledger.c.attempts - 1}
        tx.execute(sa.update(ledger).where(_these(mailbox, chunk)).values(**fewer))


def still_open(tx: sa.Connection, mailbox: str, keys: Iterable[str]) -> set[str]:
    """Which of these nobody has entered meanwhile, locked for this transaction."""
    found: set[str] = set()
    for chunk in query_in_chunks(keys):
        query = sa.select(ledger.c.uid).where(_these(mailbox, chunk)).with_for_update()
        found.update(tx.scalars(query))
    return found


def take_turns(tx: sa.Connection, mailbox: str) -> None:
    """Keep other imports, and the poller, from storing mail of this mailbox meanwhile.

    On PostgreSQL two that store the same mail at the same moment would each find it missing. The
    poller holds the very same row while it stores (its lease); SQLite's writers take turns anyway.
    """
    if tx.dialect.name == "postgresql":
        here = {"mailbox": mailbox, "folder": ""}
        tx.execute(upsert(tx, mailbox_state).values(**here).on_conflict_do_nothing())
        row = sa.select(mailbox_state.c.mailbox).filter_by(**here)
        tx.execute(row.with_for_update())


def insert(tx: sa.Connection, mailbox: str, mails: Sequence[Imported]) -> list[int]:
    """Enter historic mails, bytes and attachments included; their ids, in order.

    One that cannot be parsed is ``imported``, too: were it ``unparsed``, a parser that can read it
    some day would hand it to the rules.
    """
    numbers = ids.take(tx, "message", len(mails))
    blobs.put_named(tx, {mail.blob: mail.raw for mail in mails})
    now = clock.now()
    nothing = messages.parsed_columns(ParsedMail(0))
    rows = [
        {
            **(messages.parsed_columns(mail.parsed) if mail.parsed else nothing),
            "id": number,
            "direction": mail.direction.value,
            "mailbox": mailbox,
            "state": MessageState.IMPORTED.value,
            "received_at": mail.received_at,
            "stored_at": now,
            "size": len(mail.raw),
            "blob": mail.blob,
            "source": mail.source,
            "error": mail.error,
        }
        for number, mail in zip(numbers, mails, strict=True)
    ]
    if rows:
        tx.execute(sa.insert(message), rows)
    messages.insert_attachments(
        tx, [(number, m.parsed) for number, m in zip(numbers, mails, strict=True) if m.parsed]
    )
    return numbers


def settle(tx: sa.Connection, mailbox: str, entered: Mapping[str, int]) -> None:
    """Write down which message each of these became: content → message id."""
    if entered:
        this = sa.and_(
            ledger.c.mailbox == mailbox,
            ledger.c.folder == _PLACE["folder"],
            ledger.c.uidvalidity == _PLACE["uidvalidity"],
            ledger.c.uid == sa.bindparam("b_uid"),
        )
        tx.execute(
            sa.update(ledger).where(this).values(state="stored"),
            [{"b_uid": key, "content": key, "message": n} for key, n in entered.items()],
        )


def note_place(
    tx: sa.Connection, mailbox: str, place: tuple[str, int, str], key: str, number: int, state: str
) -> None:
    """Note that the mail at this place of a server is in the table, so that no poll takes it again.

    Parameters
    ----------
    place : tuple of (str, int, str)
        Folder, UIDVALIDITY, UID.
    key : str
        Its content.
    number : int
        The message.
    state : str
        ``stored``, or ``duplicate`` where the message came from elsewhere.
    """
    folder, uidvalidity, uid = place
    what = {"state": state, "content": key, "message": number, "server_done": True, "error": ""}
    at = {"mailbox": mailbox, "folder": folder, "uidvalidity": uidvalidity, "uid": uid}
    entry = upsert(tx, ledger).values(**at, **what, seen_at=clock.now())
    tx.execute(
        entry.on_conflict_do_update(
            index_elements=list(at), set_=what, where=ledger.c.state.in_(LEFT)
        )
    )
