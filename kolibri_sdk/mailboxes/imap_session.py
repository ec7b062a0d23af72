"""A logged-in IMAP connection that can be made again, and the two bulk commands on it."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from imapclient import DELETED

from kolibri_sdk import clock
from kolibri_sdk.errors import ServerRefused
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.mailboxes.credential import Credential, sign_in
from kolibri_sdk.mailboxes.endpoint import Endpoint, answer_text
from kolibri_sdk.mailboxes.imap_answer import Answer, members, read_answers, uid_set
from kolibri_sdk.mailboxes.imap_line import ImapClient
from kolibri_sdk.mailboxes.oauth2 import Bearer
from kolibri_sdk.mailboxes.source import FolderStatus, Moved
from kolibri_sdk.mailboxes.survey import FolderCount
from kolibri_sdk.model.mailbox import Security

__all__ = ["LINE_LOST", "ImapSession", "Opened"]

IDLE_AGAIN = 240.0  #: seconds: routers that translate addresses forget a silent line after 300
GOODBYE = 5.0  #: seconds that we wait for the answer to a goodbye, which nobody needs
LINE_LOST = (imaplib.IMAP4.abort, OSError)
_UID_SIZE = re.compile(rb"[( ]UID (\d+)\b[^\n]*? RFC822\.SIZE (\d+)", re.IGNORECASE)
_SIZE_UID = re.compile(rb"[( ]RFC822\.SIZE (\d+)\b[^\n]*? UID (\d+)", re.IGNORECASE)
_COPIED = re.compile(rb"\[COPYUID (\d+) [\d:,]+ ([\d:,]+)\]", re.IGNORECASE)  # RFC 4315
_SAID = re.compile(rb"\[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]", re.IGNORECASE)
SEARCH_WINDOW = 80_000  #: UIDs asked for at once: imaplib reads no line over 1,000,000 bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder as it was when it was opened: two that are equal hold the same, flags included.

    That takes a ``modseq``, which grows with every change (RFC 7162); a server without CONDSTORE
    gives none.
    """

    status: FolderStatus
    mails: int
    modseq: int | None


class ImapSession:
    """The connection behind an :class:`~kolibri_sdk.mailboxes.imap.ImapSource`.

    Search and fetch raise what imaplib raises; their caller says what it was doing.
    """

    def __init__(self, endpoint: Endpoint, credential: Credential) -> None:
        self.endpoint = endpoint
        self._credential = credential
        self.opened: Opened | None = None
        self._since_idle = clock.stopwatch()
        self.client = self._connected()

    def open(self, folder: str) -> FolderStatus:
        """Open a folder, for reading alone if the server allows no more."""
        self.opened = None
        name = plain(folder, "the folder name", self.endpoint.mailbox)
        with self._naming_folders(folder):
            said, mails = self._select(name)
        if b"UIDVALIDITY" not in said:
            raise ServerRefused(
                self.endpoint.mailbox,
                f"{self.endpoint} gives the folder {folder} no UIDVALIDITY, so that its mails "
                "have no lasting identity",
                "Read this mailbox by POP3.",
            )
        status = FolderStatus(folder, said[b"UIDVALIDITY"], said.get(b"UIDNEXT"), ordered=True)
        self.opened = Opened(status, mails, said.get(b"HIGHESTMODSEQ"))
        return status

    def _select(self, folder: str) -> tuple[dict[bytes, int], int]:
        line = self.client.line
        asks = ("(CONDSTORE)",) if self.client.has_capability("CONDSTORE") else ()
        line.untagged_responses = {}
        line.is_readonly = True  # reading alone will do; imaplib would make an error of it
        typ, data = line._simple_command("SELECT", self.client._normalise_folder(folder), *asks)
        if typ != "OK":
            line.state = "AUTH"
            raise imaplib.IMAP4.error(answer_text(data[-1]))
        line.state = "SELECTED"
        told: dict[str, Any] = line.untagged_responses
        codes = _SAID.findall(b"".join(told["OK"]))
        return {name.upper(): int(number) for name, number in codes}, int(told["EXISTS"][-1])

    @property
    def idling(self) -> bool:
        """Whether the server is in IDLE."""
        return self.client.line.idling

    def fileno(self) -> int:
        """The socket's number, for ``select``."""
        return self.client.line.sock.fileno()

    def resume(self) -> None:
        """Make ready for commands, and see that the line is alive.

        Raises what imaplib raises where it is not.
        """
        line = self.client.line
        if line.idling:
            line.end_idle()
        else:
            line.noop()

    def watch(self) -> bool:
        """Go into IDLE on the open folder; whether there is new mail already.

        Raises what imaplib raises where the server refuses, or the line is lost.
        """
        new = self.client.line.start_idle()
        self._since_idle = clock.stopwatch()
        return new

    @property
    def due(self) -> bool:
        """Whether IDLE has to be begun again.

        That is well before the half hour after which a server may log us out (RFC 2177), and
        before the five minutes after which a router forgets the line.
        """
        return self._since_idle() >= IDLE_AGAIN

    def heard(self) -> bool:
        """Whether the server has told of new mail; waits only where IDLE has to be begun again.

        Then a line that is dead shows by the missing answer, and raises what imaplib raises.
        """
        line = self.client.line
        if not self.due:
            return line.heard()
        new = line.end_idle()
        return self.watch() or new

    def search(self, criterion: str, *, low: int) -> set[int]:
        """UIDs from ``low`` on that meet the criterion."""
        found: set[int] = set()
        for window in self._windows(low):
            typ, lines = self.client.line.uid("SEARCH", "UID", window, criterion)
            if typ != "OK":
                raise imaplib.IMAP4.error(answer_text(lines[-1]))
            found.update(int(uid) for line in lines if line for uid in line.split())
        return {uid for uid in found if uid >= low}  # n:* always holds the last mail

    def fetch(self, uids: Sequence[int], items: str) -> tuple[dict[int, Answer], str]:
        """What the server says of these mails, and its refusal where it refused some of it."""
        self.received()  # what came unasked before
        try:
            refusal = self.client.line.uid_fetch(uid_set(uids), items)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:  # BAD
            refusal = answer_text(error)
        return self.received(), refusal

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """How many bytes each mail has, as far as the server says so."""
        self.received()
        with suppress(imaplib.IMAP4.error):
            try:
                self.client.line.uid_fetch(uid_set(uids), "(UID RFC822.SIZE)")
            except imaplib.IMAP4.abort as lost:
                raise OSError(str(lost)) from lost
        parts = self.client.line.untagged_responses.pop("FETCH", ())
        told = b"\n".join(part for part in parts if isinstance(part, bytes))
        found = {int(uid): int(size) for uid, size in _UID_SIZE.findall(told)}
        return found | {int(uid): int(size) for size, uid in _SIZE_UID.findall(told)}

    def received(self) -> dict[int, Answer]:
        """Answers that came and were not yet taken, as when the line broke after them."""
        return read_answers(self.client.line.untagged_responses.pop("FETCH", []))

    def delete(self, uids: Sequence[int]) -> None:
        r"""Set ``\Deleted``, and expunge exactly these where the server has UIDPLUS (RFC 4315)."""
        self.client.add_flags(uids, [DELETED], silent=True)
        if self.client.has_capability("UIDPLUS"):
            self.client.uid_expunge(uids)

    def move(self, uids: Sequence[int], folder: str) -> list[Moved]:
        """Move into a folder, which is made when it is missing; where they are now."""
        name = plain(folder, "the folder name", self.endpoint.mailbox)
        at_once = self.client.has_capability("MOVE")
        command = "MOVE" if at_once else "COPY"
        try:
            said = self._transferred(command, uids, name)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            # The folder is missing, or a colleague has taken one of the mails away.
            self._make(name)
            self.client.line.noop()  # now the server may say who is gone
            uids = sorted(self.search(f"UID {uid_set(uids)}", low=1))
            said = self._transferred(command, uids, name) if uids else b""
        if uids and not at_once:
            self.delete(uids)
        return [
            Moved(folder, int(validity), tuple(str(uid) for uid in members(target.decode())))
            for validity, target in _COPIED.findall(said)
        ]

    def _transferred(self, command: str, uids: Sequence[int], folder: str) -> bytes:
        """What the server said of it, untagged and tagged."""
        line = self.client.line
        typ, data = line.uid(command, uid_set(uids), self.client._normalise_folder(folder))
        if typ != "OK":
            raise imaplib.IMAP4.error(answer_text(data[-1]))
        told: dict[str, Any] = line.untagged_responses
        codes = [b"[COPYUID " + code + b"]" for code in told.pop("COPYUID", ())]
        return b" ".join([*codes, *(part for part in data if isinstance(part, bytes))])

    def _make(self, folder: str) -> None:
        """Make a folder; that it is there already shows in what is tried next."""
        try:
            self.client.create_folder(folder)
            self.client.subscribe_folder(folder)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            pass

    def count(self, folder: str) -> FolderCount:
        """How many mails lie in a folder, without opening it."""
        with self._naming_folders(folder):
            status = self.client.folder_status(folder, ["MESSAGES", "UNSEEN"])
        return FolderCount(folder, status[b"MESSAGES"], status[b"UNSEEN"])

    def reconnect(self) -> None:
        """Connect and open the folder again; it must be the same folder still."""
        assert self.opened is not None, "a folder is open"
        before = self.opened.status
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
        line = self.client.line
        try:
            line.sock.settimeout(min(self.endpoint.timeout, GOODBYE))
            if line.idling:
                line.end_idle()
            self.client.logout()
        except (imaplib.IMAP4.error, OSError):
            self.drop()

    def drop(self) -> None:
        """Leave without a word."""
        with suppress(OSError):
            self.client.shutdown()

    def _connected(self) -> ImapClient:
        with self.endpoint.told("connecting"):
            client = ImapClient(self.endpoint)
        try:
            self._log_in(client)
        except BaseException:
            with suppress(OSError):
                client.shutdown()
            raise
        return client

    def _log_in(self, client: ImapClient) -> None:
        to = self.endpoint
        if to.security is Security.STARTTLS:
            if not client.has_capability("STARTTLS"):
                raise to.no_starttls()
            with to.told("starting TLS"):
                client.starttls(to.context)
        if not isinstance(self._credential, str):
            offered = [answer_text(name) for name in client.capabilities()]
            mechanisms = [n.removeprefix("AUTH=") for n in offered if n.startswith("AUTH=")]
            sign_in(to, self._credential, mechanisms, lambda said: _authenticate(client, said))
            return
        with to.logging_in():
            if client.has_capability("AUTH=PLAIN"):
                # UTF-8; LOGIN is ASCII and unquoted
                client.plain_login(to.user, self._credential)
            else:
                client.login(_quoted(to.user), self._credential)

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
        assert self.opened is not None, "a folder is open"
        uidnext = self.opened.status.uidnext
        if self.opened.mails > SEARCH_WINDOW and uidnext is not None:
            while low + SEARCH_WINDOW < uidnext:
                yield f"{low}:{low + SEARCH_WINDOW - 1}"
                low += SEARCH_WINDOW
        yield f"{low}:*"


def _authenticate(client: ImapClient, said: Bearer) -> None:
    answers = iter((said.response, said.farewell))  # a second question tells why it refuses
    client.sasl_login(said.mechanism, lambda _: next(answers, b""))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
