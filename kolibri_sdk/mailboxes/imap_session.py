"""A logged-in IMAP connection that can be made again, and the two bulk commands on it."""

from __future__ import annotations

import imaplib
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientReadOnlyError

from kolibri_sdk.errors import ServerRefused
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.mailboxes.endpoint import Endpoint, answer_text
from kolibri_sdk.mailboxes.imap_answer import Answer, read_answers, uid_set
from kolibri_sdk.mailboxes.source import FolderStatus
from kolibri_sdk.mailboxes.survey import FolderCount
from kolibri_sdk.model.mailbox import Security

__all__ = ["LINE_LOST", "ImapSession"]

LINE_LOST = (imaplib.IMAP4.abort, OSError)
SEARCH_WINDOW = 80_000  #: UIDs asked for at once: imaplib reads no line over 1,000,000 bytes


class ImapSession:
    """The connection behind an :class:`~kolibri_sdk.mailboxes.imap.ImapSource`.

    Search and fetch raise what imaplib raises; their caller says what it was doing.
    """

    def __init__(self, endpoint: Endpoint, password: str) -> None:
        self.endpoint = endpoint
        self._password = password
        self._opened: FolderStatus | None = None
        self._mails = 0
        self.client = self._connected()

    def open(self, folder: str) -> FolderStatus:
        """Open a folder, for reading alone if the server allows no more."""
        answer = self._selected(plain(folder, "the folder name", self.endpoint.mailbox))
        if b"UIDVALIDITY" not in answer:
            raise ServerRefused(
                self.endpoint.mailbox,
                f"{self.endpoint} gives the folder {folder} no UIDVALIDITY, so that its mails "
                "have no lasting identity",
                "Read this mailbox by POP3.",
            )
        self._mails = answer[b"EXISTS"]
        self._opened = FolderStatus(
            folder, answer[b"UIDVALIDITY"], answer.get(b"UIDNEXT"), ordered=True
        )
        return self._opened

    def search(self, criterion: str, *, low: int) -> set[int]:
        """UIDs from ``low`` on that meet the criterion."""
        found: set[int] = set()
        for window in self._windows(low):
            typ, lines = self.client._imap.uid("SEARCH", "UID", window, criterion)
            if typ != "OK":
                raise imaplib.IMAP4.error(answer_text(lines[-1]))
            found.update(int(uid) for line in lines if line for uid in line.split())
        return {uid for uid in found if uid >= low}  # n:* always holds the last mail

    def fetch(self, uids: Sequence[int], items: str) -> tuple[dict[int, Answer], str]:
        """What the server says of these mails, and its refusal where it refused some of it."""
        self.received()  # what came unasked before
        refusal, parts = "", []
        try:
            typ, data = self.client._imap.uid("FETCH", uid_set(uids), items)
            if typ == "OK":
                parts = data
            else:
                refusal = answer_text(data[-1])
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:  # BAD
            refusal = answer_text(error)
        return read_answers(parts) | self.received(), refusal

    def received(self) -> dict[int, Answer]:
        """Answers that came and were not yet taken, as when the line broke after them."""
        return read_answers(self.client._imap.untagged_responses.pop("FETCH", []))

    def count(self, folder: str) -> FolderCount:
        """How many mails lie in a folder, without opening it."""
        with self._naming_folders(folder):
            status = self.client.folder_status(folder, ["MESSAGES", "UNSEEN"])
        return FolderCount(folder, status[b"MESSAGES"], status[b"UNSEEN"])

    def reconnect(self) -> None:
        """Connect and open the folder again; it must be the same folder still."""
        before = self._opened
        assert before is not None, "a folder is open"
        self.drop()
        self.client = self._connected()
        if self.open(before.folder).uidvalidity != before.uidvalidity:
            raise ServerRefused(
                self.endpoint.mailbox,
                f"the folder {before.folder} was made anew while it was read",
                "The next pass reads it afresh.",
            )

    def close(self) -> None:
        """Log out; never raises."""
        try:
            self.client.logout()
        except (imaplib.IMAP4.error, OSError):
            self.drop()

    def drop(self) -> None:
        """Leave without a word."""
        with suppress(OSError):
            self.client.shutdown()

    def _connected(self) -> IMAPClient:
        to = self.endpoint
        with to.told("connecting"):
            client = IMAPClient(
                to.host,
                to.port,
                ssl=to.security is Security.TLS,
                ssl_context=to.context,
                timeout=SocketTimeout(to.timeout, to.timeout),
            )
        client._imap.debug = 0  # imapclient's setting formats every literal for a log line
        try:
            # imaplib sends a password in two pieces; the second would wait 40 ms for the first.
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._log_in(client)
        except BaseException:
            with suppress(OSError):
                client.shutdown()
            raise
        return client

    def _log_in(self, client: IMAPClient) -> None:
        to = self.endpoint
        if to.security is Security.STARTTLS:
            if not client.has_capability("STARTTLS"):
                raise to.no_starttls()
            with to.told("starting TLS"):
                client.starttls(to.context)
        with to.logging_in():
            if client.has_capability("AUTH=PLAIN"):
                client.plain_login(to.user, self._password)  # UTF-8; LOGIN is ASCII and unquoted
            else:
                client.login(_quoted(to.user), self._password)

    def _selected(self, folder: str) -> dict[bytes, Any]:
        with self._naming_folders(folder):
            try:
                answer: dict[bytes, Any] = self.client.select_folder(folder)
            except IMAPClientReadOnlyError:
                answer = self.client.select_folder(folder, readonly=True)
            return answer

    @contextmanager
    def _naming_folders(self, folder: str) -> Iterator[None]:
        try:
            with self.endpoint.told(f"opening the folder {folder!r}"):
                yield
        except ServerRefused as error:
            with self.endpoint.told("asking for the folders"):
                names = sorted(name for _, _, name in self.client.list_folders())
            error.next_step = f"The server has the folders {', '.join(names[:20])}."
            raise

    def _windows(self, low: int) -> Iterator[str]:
        uidnext = self._opened.uidnext if self._opened else None
        if self._mails > SEARCH_WINDOW and uidnext is not None:
            while low + SEARCH_WINDOW < uidnext:
                yield f"{low}:{low + SEARCH_WINDOW - 1}"
                low += SEARCH_WINDOW
        yield f"{low}:*"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
