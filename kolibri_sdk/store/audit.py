"""What the ledger and the tables say of each mail, laid open so that it can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from kolibri_sdk.model.message import MessageState
from kolibri_sdk.store import blobs
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.ledger import in_folder
from kolibri_sdk.store.schema import attachment, blob, ledger, message

__all__ = [
    "BYTES_LOST",
    "Seen",
    "count_old",
    "damaged",
    "entries",
    "forget_messages",
    "lies_at",
    "names_of",
    "parse_again",
    "set_blob",
]

#: How the reason of an unparsed mail begins that is parsed once its bytes are there again.
BYTES_LOST = "its bytes are missing or damaged in the database"


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry of the ledger as it stands, and the message that came of it, if it is there."""

    uid: str
    state: str
    content: str | None
    message: int | None
    server_done: bool
    server_told: str
    error: str
    blob: str | None  #: the message's bytes
    stored: bool  #: whether the message is in the table


def entries(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int) -> dict[str, Seen]:
    """All entries of a folder under its present UIDVALIDITY, by UID."""
    query = (
        sa.select(ledger, message.c.blob, message.c.id)
        .join(message, message.c.id == ledger.c.message, isouter=True)
        .where(in_folder(mailbox, folder, uidvalidity))
    )
    return {
        row.uid: Seen(
            uid=row.uid,
            state=row.state,
            content=row.content,
            message=row.message,
            server_done=row.server_done,
            server_told=row.server_told,
            error=row.error,
            blob=row.blob,
            stored=row.id is not None,
        )
        for row in tx.execute(query)
    }


def count_old(tx: sa.Connection, mailbox: str, folder: str, uidvalidity: int) -> int:
    """How many entries belong to earlier lives of the folder."""
    old = sa.and_(
        ledger.c.mailbox == mailbox,
        ledger.c.folder == folder,
        ledger.c.uidvalidity != uidvalidity,
    )
    return int(tx.execute(sa.select(sa.func.count()).where(old)).scalar_one())


def lies_at(
    tx: sa.Connection, mailbox: str, contents: Iterable[str]
) -> Iterator[tuple[str, str, int, str]]:
    """Where mails of these contents were seen: content, folder, UIDVALIDITY, UID."""
    for chunk in query_in_chunks(contents):
        query = sa.select(
            ledger.c.content, ledger.c.folder, ledger.c.uidvalidity, ledger.c.uid
        ).where(ledger.c.mailbox == mailbox, ledger.c.content.in_(chunk))
        yield from (tuple(row) for row in tx.execute(query))


def names_of(tx: sa.Connection, numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
    """The blobs of these messages, those of their attachments included."""
    for chunk in query_in_chunks(numbers):
        own = sa.select(message.c.id, message.c.blob).where(
            message.c.id.in_(chunk), message.c.blob.is_not(None)
        )
        parts = sa.select(attachment.c.message, attachment.c.blob).where(
            attachment.c.message.in_(chunk)
        )
        for query in (own, parts):
            yield from (tuple(row) for row in tx.execute(query))


def damaged(tx: sa.Connection, names: Iterable[str], *, whole: bool) -> dict[str, str]:
    """Which of these blobs are not as they were stored, and how: ``missing`` or ``damaged``.

    Parameters
    ----------
    whole : bool
        Whether each one is read and its hash computed; else only its presence counts.
    """
    wrong: dict[str, str] = {}
    for chunk in query_in_chunks(names):
        there = set(tx.scalars(sa.select(blob.c.sha256).where(blob.c.sha256.in_(chunk))))
        wrong |= dict.fromkeys(set(chunk) - there, "missing")
        for name in there if whole else ():
            if not blobs.is_whole(tx, name):
                wrong[name] = "damaged"
    return wrong


def parse_again(tx: sa.Connection, name: str) -> None:
    """Have the mails parsed that could not be while these bytes were lost."""
    tx.execute(
        sa.update(message)
        .where(
            message.c.blob == name,
            message.c.state == MessageState.UNPARSED.value,
            message.c.error.startswith(BYTES_LOST),
        )
        .values(state=MessageState.FETCHED.value, error="", attempts=0)
    )


def set_blob(tx: sa.Connection, number: int, name: str) -> None:
    """Say where the bytes of a message lie now."""
    tx.execute(sa.update(message).where(message.c.id == number).values(blob=name))


def forget_messages(tx: sa.Connection, mailbox: str, numbers: Iterable[int]) -> None:
    """Let the ledger know nothing of messages that are not in the table.

    A mail of the same content is new then, not a duplicate of something that is not there.
    """
    for chunk in query_in_chunks(numbers):
        this = sa.and_(ledger.c.mailbox == mailbox, ledger.c.message.in_(chunk))
        tx.execute(sa.update(ledger).where(this).values(message=None, content=None, state="gone"))
