"""POP3 (RFC 1939): no folders, no flags, and an identity only where the server gives one."""

from __future__ import annotations

import hashlib
import poplib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self

from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import ConnectionFailed, MailboxError
from kolibri_sdk.mailboxes.credential import Credential
from kolibri_sdk.mailboxes.endpoint import Endpoint, answer_text
from kolibri_sdk.mailboxes.pop3_session import connected
from kolibri_sdk.mailboxes.source import (
    Batch,
    Fetched,
    FolderStatus,
    Listed,
    Listing,
    Moves,
    in_batches,
)
from kolibri_sdk.mailboxes.survey import FolderCount, Survey, protection

__all__ = ["Pop3Source", "arrival"]

RECONNECTS = 12  #: per batch: so many mails on which the server hangs up are stepped over

HEAD_BYTES = 64 * 1024  #: where the topmost Received header is looked for
LINE_LOST = (OSError, poplib.error_proto)
_RECEIVED = re.compile(rb"^Received:((?:.*\n[ \t])*.*)", re.IGNORECASE | re.MULTILINE)


class Pop3Source:
    """A mailbox read by POP3; see :class:`~kolibri_sdk.mailboxes.MailSource`.

    A mail's UID is its UIDL. Where the server gives none, or gives two mails the same one, it is
    ``sha256:`` and the hash of the mail, which then has to be retrieved for every listing.

    Parameters
    ----------
    endpoint : Endpoint
        The server.
    credential : Credential
        The password in plain text, or the access tokens.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._session = connected(endpoint, credential)
        self._numbers: dict[str, list[int]] = {}  # UID → message numbers in this session
        self._sizes: dict[int, str] = {}  # as LIST says them, by number
        self._doomed: set[str] = set()

    def folders(self) -> tuple[str, ...]:
        """One: INBOX."""
        return ("INBOX",)

    def open(self, folder: str) -> FolderStatus:
        """Learn which mails there are; the server keeps them for us until we log out."""
        self._identify()
        return FolderStatus(folder, 0, None, ordered=False)

    def list(self, *, unread: bool, above: int | None, since: datetime | None) -> Listing:  # noqa: ARG002 (not ordered: the ledger decides)
        """All mails, in the server's order; POP3 knows no flags, so none is seen.

        The time of arrival is what the topmost Received header says; a mail that does not say it
        is never left out.
        """
        uids = list(self._numbers)
        if since is not None:
            with self._endpoint.told("looking at the time of arrival"):
                heads = self._session.retrieve([f"TOP {self._numbers[uid][0]} 0" for uid in uids])
                uids = [
                    uid for uid, head in zip(uids, heads, strict=True) if not _before(head, since)
                ]
        return [Listed(uid, self._size(uid), seen=False) for uid in uids]

    def present(self) -> frozenset[str]:
        """The UIDs of all mails in this session."""
        return frozenset(self._numbers)

    def fetch(self, listed: Sequence[Listed]) -> Iterator[Batch]:
        """The mails in batches; where the server hangs up on one, the next ones still come."""
        for batch in in_batches(listed):
            fetched = self._retrieve([mail.uid for mail in batch if mail.uid in self._numbers])
            gone = "it is no longer there"
            reach("fetch.batch")
            yield [
                fetched.get(mail.uid) or Fetched(mail.uid, None, None, False, gone)
                for mail in batch
            ]

    def mark_seen(self, uids: Sequence[str]) -> None:
        """Nothing: POP3 has no flags."""

    def mark_deleted(self, uids: Sequence[str]) -> None:
        """DELE, which counts only once :meth:`close` has said QUIT (RFC 1939 section 6)."""
        with self._endpoint.told("deleting mail"):
            for uid in uids:
                if uid not in self._doomed:
                    for number in self._numbers.get(uid, ()):
                        self._session.dele(number)
                    self._doomed.add(uid)

    def move(self, uids: Sequence[str], folder: str) -> Moves:  # noqa: ARG002
        """Refused: POP3 has no folders."""
        raise self._endpoint.refused(f"moving mail to {folder!r}", "POP3 has no folders")

    def survey(self) -> Survey:
        """What the server says of itself, and how many mails lie there."""
        with self._endpoint.told("asking what it can do"):
            mails, _ = self._session.stat()
            capabilities = self._session.capabilities()
        return Survey(
            tls=protection(self._session.sock),
            capabilities=capabilities,
            folders=(FolderCount("INBOX", mails, None),),
        )

    def close(self) -> None:
        """Say QUIT: now the deleted mails go. Raises when that fails, for then they stay."""
        if self._session.sock is None:
            return
        try:
            with self._endpoint.told("logging out; mail to be deleted may be there still"):
                self._session.quit()
        except MailboxError:
            if self._doomed:
                raise
        finally:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ConnectionFailed):
            self._drop()
        elif error is not None:
            with suppress(MailboxError):
                self.close()
        else:
            self.close()

    def _drop(self) -> None:
        with suppress(OSError):
            self._session.close()

    def _size(self, uid: str) -> int | None:
        size = self._sizes.get(self._numbers[uid][0], "")
        return int(size) if size.isdecimal() else None

    def _identify(self) -> None:
        with self._endpoint.told("listing the mails"):
            self._sizes = self._session.pairs("LIST")
            names = self._session.pairs("UIDL")
            shared = {name for name, times in Counter(names.values()).items() if times > 1}
            numbers = sorted({*self._sizes, *names})
            nameless = [n for n in numbers if n not in names or names[n] in shared]
            names |= self._hashed(nameless)
        self._numbers = {}
        for number in numbers:
            if number in names:
                self._numbers.setdefault(names[number], []).append(number)

    def _hashed(self, numbers: Sequence[int]) -> dict[int, str]:
        """Identities by content; equal bytes are one mail."""
        names: dict[int, str] = {}
        mails = self._session.retrieve([f"RETR {number}" for number in numbers])
        for number, raw in zip(numbers, mails, strict=True):
            if isinstance(raw, bytes):
                names[number] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
            else:
                names[number] = f"unnamed:{number}"
        return names

    def _retrieve(self, uids: Sequence[str]) -> dict[str, Fetched]:
        fetched: dict[str, Fetched] = {}
        reconnects = RECONNECTS
        while waiting := [uid for uid in uids if uid not in fetched and uid in self._numbers]:
            commands = [f"RETR {self._numbers[uid][0]}" for uid in waiting]
            try:
                for uid, raw in zip(waiting, self._session.retrieve(commands), strict=True):
                    fetched[uid] = _fetched(uid, raw)
            except LINE_LOST as error:
                lost = self._endpoint.explained(error, "retrieving mail")
                if reconnects == 0:
                    raise lost from error
                culprit = next(uid for uid in waiting if uid not in fetched)
                fetched[culprit] = Fetched(culprit, None, None, False, str(lost))
                reconnects -= 1
                self._reconnect()
        return fetched

    def _reconnect(self) -> None:
        """Log in again; numbers may differ now, and what was to be deleted must be said again."""
        self._drop()
        self._session = connected(self._endpoint, self._credential)
        self._identify()
        doomed, self._doomed = self._doomed, set()
        self.mark_deleted(sorted(doomed))


def arrival(mail: bytes) -> datetime | None:
    r"""When the last server on the way got the mail: the date of the topmost Received header.

    Examples
    --------
    >>> arrival(b"Received: from a by b;\r\n\tFri, 1 May 2026 10:00:00 +0200\r\n\r\n").isoformat()
    '2026-05-01T08:00:00+00:00'
    """
    head = mail[:HEAD_BYTES].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    received = _RECEIVED.search(head)
    if received is None:
        return None
    date = received[1].rpartition(b";")[2].decode("ascii", "replace")
    try:
        moment = parsedate_to_datetime(" ".join(date.split()))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _fetched(uid: str, raw: bytes | poplib.error_proto) -> Fetched:
    if not isinstance(raw, bytes):
        return Fetched(uid, None, None, False, f"the server refused it: {answer_text(raw)}")
    return Fetched(uid, raw or None, arrival(raw), False, "" if raw else "the server gave no bytes")


def _before(head: bytes | poplib.error_proto, since: datetime) -> bool:
    moment = arrival(head) if isinstance(head, bytes) else None
    return moment is not None and moment < since
