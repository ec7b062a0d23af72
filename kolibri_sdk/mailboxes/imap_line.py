"""imaplib's connection, its socket read here: large bodies fast, and lines without waiting."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from typing import Any, Literal

from imapclient import IMAPClient, SocketTimeout

from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.model.mailbox import Security

__all__ = ["ImapClient", "ImapLine"]

_PIECE = 64 * 1024  #: bytes asked of the socket at once
_LARGEST_PIECE = 1024 * 1024  #: and where it is known that so many come
_LONGEST_LINE = 1_000_000  #: as imaplib has it; a server that sends more is broken
_LARGEST_LITERAL = 1 << 30  #: bytes of one mail; more cannot be held in memory
_FETCH = re.compile(rb"\* (\d+ )FETCH ", re.IGNORECASE)
_LITERAL = re.compile(rb"\{(\d+)\}$")
_NEW = re.compile(rb"\* \d+ EXISTS\b", re.IGNORECASE)
_Nothing = list[None]  # what imaplib's stubs say that STARTTLS returns
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 4}


class ImapLine(imaplib.IMAP4):
    """A connection as imaplib knows it; what it adds is IDLE, and reading without a detour.

    Attributes
    ----------
    idling : bool
        Whether the server was told to speak up by itself.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._held = bytearray()  # came from the socket, was not taken yet
        self._idle_tag = b""
        super().__init__(endpoint.host, endpoint.port, endpoint.timeout)

    @property
    def idling(self) -> bool:
        """Whether the server is in IDLE."""
        return bool(self._idle_tag)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        line = socket.create_connection((self.host, self.port), timeout)
        # imaplib sends a password in two pieces; the second would wait 40 ms for the first.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if self._endpoint.security is not Security.TLS:
            return line
        try:
            return self._endpoint.context.wrap_socket(line, server_hostname=self.host)
        except BaseException:
            line.close()
            raise

    def read(self, size: int) -> bytes:
        """So many bytes; fewer only where the line was lost."""
        if size > _LARGEST_LITERAL:
            raise self.abort(f"the server announces {size:,} bytes at once")
        held = self._held
        if len(held) >= size:
            return self._taken(size)
        pieces = [bytes(held)]
        missing = size - len(held)
        held.clear()
        while missing and (piece := self.sock.recv(min(missing, _LARGEST_PIECE))):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def readline(self) -> bytes:
        """The next line; without its end where the line was lost."""
        looked = 0
        while (at := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            if looked > _LONGEST_LINE:
                raise self.error(f"got a line of more than {_LONGEST_LINE} bytes")
            piece = self.sock.recv(_PIECE)
            if not piece:
                return self._taken(looked)
            self._held += piece
        return self._taken(at + 1)

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> tuple[Literal["OK"], _Nothing]:
        """STARTTLS; what was said in plain text behind it is not taken for protected."""
        answer = super().starttls(ssl_context)
        if self._held:
            raise self.abort("the server went on in plain text after STARTTLS")
        return answer

    def uid_fetch(self, uids: str, items: str) -> str:
        """UID FETCH; the answers come to ``untagged_responses``, as imaplib cuts them.

        imaplib's own reading takes three times as long, which counts with thousands of mails.
        What has come before the line breaks is there, too.

        Returns
        -------
        str
            The server's refusal; empty where it gave what it has.

        Raises
        ------
        imaplib.IMAP4.error
            When the server does not understand; ``abort`` when the line was lost.
        """
        tag = self._untracked_tag()
        self.send(b"%b UID FETCH %b %b\r\n" % (tag, uids.encode("ascii"), items.encode("ascii")))
        # imaplib's stubs know no literals in it, so it is written to as what it is.
        untagged: dict[str, Any] = self.untagged_responses
        parts: list[Any] = untagged.setdefault("FETCH", [])
        while not (line := self._whole_line()).startswith(tag):
            answer = _FETCH.match(line)
            if answer is None:
                self._noted(line)
                text, kept = line, None
            else:
                text, kept = answer[1] + line[answer.end() :], parts
            while literal := _LITERAL.search(text):
                body = self.read(int(literal[1]))
                if kept is not None:
                    kept.append((text, body))
                text = self._whole_line()
            if kept is not None:
                kept.append(text)
        kind, _, said = line[len(tag) + 1 :].decode("utf-8", "replace").partition(" ")
        if kind.upper() == "BAD":
            raise self.error(said)
        return "" if kind.upper() == "OK" else said

    def _whole_line(self) -> bytes:
        line = self.readline()
        if not line.endswith(b"\n"):
            raise self.abort("the line ended within an answer")
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    # IDLE (RFC 2177)

    def start_idle(self) -> bool:
        """Have the server speak up when something changes; whether something has already.

        Raises
        ------
        imaplib.IMAP4.error
            When the server refuses; ``abort`` when the line was lost.
        """
        tag = self._untracked_tag()
        self.send(tag + b" IDLE\r\n")
        new = False
        while not (line := self._get_line()).startswith(b"+"):
            if line.startswith(tag):
                raise self.error(line.decode("utf-8", "replace"))
            new |= self._noted(line)
        self._idle_tag = tag
        return self.heard() or new

    def heard(self) -> bool:
        """What the server has said meanwhile, without waiting: whether there is new mail."""
        new = False
        self.sock.settimeout(0)
        try:
            while True:
                new |= self._take_lines()
                piece = self.sock.recv(_PIECE)
                if not piece:
                    raise self.abort("the server hung up while in IDLE")
                self._held += piece
        except (BlockingIOError, ssl.SSLWantReadError):
            return new
        finally:
            self.sock.settimeout(self._endpoint.timeout)

    def end_idle(self) -> bool:
        """End IDLE, and wait for the answer, which shows that the line is alive."""
        tag, self._idle_tag = self._idle_tag, b""
        self.send(b"DONE\r\n")
        new = False
        while not (line := self._get_line()).startswith(tag):
            new |= self._noted(line)
        return new

    def _take_lines(self) -> bool:
        new = False
        while b"\n" in self._held:
            new |= self._noted(self._get_line())
        return new

    def _noted(self, line: bytes) -> bool:
        """Whether an untagged line tells of new mail."""
        if line[:5].upper() == b"* BYE":
            raise self.abort(line.decode("utf-8", "replace"))
        return bool(_NEW.match(line))

    def _untracked_tag(self) -> bytes:
        tag: bytes = self._new_tag()
        del self.tagged_commands[tag]  # its answer is read here
        return tag

    def _taken(self, size: int) -> bytes:
        with memoryview(self._held) as view:
            taken = bytes(view[:size])
        del self._held[:size]
        return taken


class ImapClient(IMAPClient):  # type: ignore[misc]
    """imapclient's commands on such a connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        super().__init__(
            endpoint.host,
            endpoint.port,
            ssl=endpoint.security is Security.TLS,
            ssl_context=endpoint.context,
            timeout=SocketTimeout(endpoint.timeout, endpoint.timeout),
        )
        self.line.debug = 0  # imapclient's setting formats every literal for a log line

    @property
    def line(self) -> ImapLine:
        """The connection."""
        line: ImapLine = self._imap
        return line

    def _create_IMAP4(self) -> ImapLine:  # noqa: N802 (imapclient's name)
        return ImapLine(self._endpoint)
