"""What every way of reading a mailbox promises, and what it yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

__all__ = [
    "BATCH_BYTES",
    "BATCH_MAILS",
    "Batch",
    "Fetched",
    "FolderStatus",
    "Listed",
    "Listing",
    "MailSource",
    "Moved",
    "Moves",
    "in_batches",
]

BATCH_MAILS = 500  #: mails that are fetched with one command at most
BATCH_BYTES = 16 * 1024 * 1024  #: and their bytes; a single larger mail comes alone


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """What the server says of a folder when it is opened.

    Parameters
    ----------
    folder : str
        Its name.
    uidvalidity : int
        While it stays the same, a UID means the same mail (RFC 3501 section 2.3.1.1); 0 where the
        protocol knows no such thing.
    uidnext : int or None
        The UID that the next mail will get at least.
    ordered : bool
        Whether UIDs are growing integers, so that there can be a high-water mark.
    """

    folder: str
    uidvalidity: int
    uidnext: int | None
    ordered: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A mail that lies in the folder; ``size`` in bytes where the listing says it."""

    uid: str
    size: int | None
    seen: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail as it came: its bytes, or why they are not to be had (``raw`` None, ``error``)."""

    uid: str
    raw: bytes | None
    received_at: datetime | None  #: when the server got it; aware, UTC
    seen: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Where moved mails are now: the folder's UIDVALIDITY, and their UIDs in it."""

    folder: str
    uidvalidity: int
    uids: tuple[str, ...]


Listing = list[Listed]  # names of their own, for inside a source ``list`` is the method
Batch = list[Fetched]
Moves = list[Moved]


class MailSource(Protocol):
    """One logged-in connection to a mailbox; a context manager.

    Every method raises :class:`~kolibri_sdk.errors.MailboxError` (``ConnectionFailed``,
    ``LoginRefused``, ``ServerRefused``) when the server does not play along.
    """

    def folders(self) -> tuple[str, ...]:
        """The folders that the mailbox's file names; a protocol without folders has one, INBOX."""
        ...

    def open(self, folder: str) -> FolderStatus:
        """Open a folder; what follows acts on it."""
        ...

    def list(self, *, unread: bool, above: int | None, since: datetime | None) -> Listing:
        """The mails that may be new, in the order in which they came.

        Parameters
        ----------
        unread : bool
            True: unseen mails, and those above the mark, which somebody else may have read
            meanwhile. False: all mails above the mark.
        above : int or None
            The high-water mark: the highest UID known. None on a first run: unseen mails only, or
            all. A source that is not ordered ignores it and returns all its mails with their seen
            flag; the ledger knows which are new.
        since : datetime or None
            Leave out what arrived before this moment (aware, compared exactly).
        """
        ...

    def present(self) -> frozenset[str]:
        """The UIDs of all mails that lie in the folder now."""
        ...

    def fetch(self, listed: Sequence[Listed]) -> Iterator[Batch]:
        """The mails' bytes, in batches capped by number and bytes; no flag changes.

        Each of them comes exactly once: one that cannot be had comes with its error and does not
        stop the others.
        """
        ...

    def mark_seen(self, uids: Sequence[str]) -> None:
        """Mark these mails as read, where the protocol can."""
        ...

    def mark_deleted(self, uids: Sequence[str]) -> None:
        """Delete exactly these mails, or mark them as deleted where others' mail would go too."""
        ...

    def move(self, uids: Sequence[str], folder: str) -> Moves:
        """Move exactly these mails into another folder; it is made when it is missing.

        What comes back is where they are now, as far as the server says so.
        """
        ...

    def close(self) -> None:
        """Log out. POP3 deletes only now, so here it can raise."""
        ...

    def __enter__(self) -> Self:
        """Enter."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        ...


def in_batches(
    listed: Iterable[Listed], *, mails: int = BATCH_MAILS, size: int = BATCH_BYTES
) -> Iterator[Listing]:
    """Cut into batches of at most so many mails and so many bytes; a larger mail comes alone.

    Examples
    --------
    >>> mails = [Listed("1", 60, False), Listed("2", 60, False), Listed("3", 900, False)]
    >>> [[mail.uid for mail in batch] for batch in in_batches(mails, size=120)]
    [['1', '2'], ['3']]
    """
    batch: Listing = []
    held = 0
    for mail in listed:
        weight = mail.size or 0
        if batch and (len(batch) >= mails or held + weight > size):
            yield batch
            batch, held = [], 0
        batch.append(mail)
        held += weight
    if batch:
        yield batch
