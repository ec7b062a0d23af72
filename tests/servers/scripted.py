"""Servers that misbehave on purpose: IMAP and POP3 doubles, and a bare line server under them."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["ImapDouble", "Line", "Pop3Double", "serving"]


class Line:
    """The server's end of a connection: reads lines, writes at once."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = connection.makefile("rb")
        self.write = connection.sendall
        self.readline = self._file.readline

    def close(self) -> None:
        """Read no more."""
        self._file.close()


Talk = Callable[[Line], None]


@contextmanager
def serving(talk: Talk) -> Iterator[int]:
    """Accept connections on loopback and hold this talk on each, one after the other; the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError), closing(Line(connection)) as line:
                    talk(line)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


@dataclass
class ImapDouble:
    """An IMAP server with one folder; what it does wrong is set by UID."""

    mails: dict[int, bytes]
    refuses: set[int] = field(default_factory=set)  #: FETCH of it is answered with NO
    hangs_up_on: set[int] = field(default_factory=set)  #: FETCH of it drops the connection
    cuts_short: set[int] = field(default_factory=set)  #: drops the connection within its bytes
    chatter: bytes = b""  #: untagged lines within every FETCH answer
    flags_last: bool = False  #: UID and FLAGS come after the literal
    hides: set[int] = field(default_factory=set)  #: left out of SEARCH answers
    announces: dict[int, int] = field(default_factory=dict)  #: so many bytes more than there are
    uidvalidity: int = 7
    uidnext: int | None = None  #: None: not said
    silent_at: bytes = b""  #: at this command, or at ``greeting``, no answer comes any more
    login_answer: bytes = b""  #: in place of OK, such as ``NO [LIMIT] too many connections``
    connections: int = 0

    def talk(self, stream: Line) -> None:
        """One connection, up to its end."""
        self.connections += 1
        if self.silent_at == b"greeting":
            stream.readline()
            return
        stream.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
        while words := stream.readline().split():
            tag, command, *rest = words
            if self.silent_at in (command, *rest[:1]) and self.silent_at:
                while stream.readline():
                    pass
                return
            if command == b"CAPABILITY":
                stream.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            elif command == b"AUTHENTICATE":
                stream.write(b"+ \r\n")
                stream.readline()
                if self.login_answer:
                    stream.write(tag + b" " + self.login_answer + b"\r\n")
                    continue
            elif command in (b"SELECT", b"EXAMINE"):
                stream.write(b"* %d EXISTS\r\n" % len(self.mails))
                stream.write(b"* OK [UIDVALIDITY %d] valid\r\n" % self.uidvalidity)
                if self.uidnext is not None:
                    stream.write(b"* OK [UIDNEXT %d] next\r\n" % self.uidnext)
            elif rest[:1] == [b"SEARCH"]:
                found = sorted(self.mails.keys() - self.hides, reverse=True)
                uids = " ".join(map(str, found))
                last = f"* SEARCH {found[0]}\r\n" if found else ""
                stream.write(f"* SEARCH {uids}\r\n{last}".encode())
            elif rest[:1] == [b"FETCH"] and not self._fetch(stream, tag, rest[1].decode(), rest):
                continue
            elif command == b"LOGOUT":
                stream.write(b"* BYE\r\n" + tag + b" OK bye\r\n")
                return
            stream.write(tag + b" OK done\r\n")

    def _fetch(self, stream: Line, tag: bytes, uids: str, rest: list[bytes]) -> bool:
        bodies = b"BODY.PEEK" in b" ".join(rest)
        refused = False
        for uid in _members(uids):
            raw = self.mails.get(uid, b"")
            if bodies and uid in self.hangs_up_on:
                raise ConnectionAbortedError
            if bodies and uid in self.refuses:
                refused = True
            elif not bodies:
                stream.write(b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (uid, uid, len(raw)))
            else:
                self._body(stream, uid, raw)
        if refused:
            stream.write(tag + b" NO [SERVERBUG] cannot read that one\r\n")
        return not refused

    def _body(self, stream: Line, uid: int, raw: bytes) -> None:
        facts = b"UID %d FLAGS (\\Seen UID 99) INTERNALDATE " % uid
        facts += b'" 1-May-2026 10:00:00 +0200"'
        before, after = (b"", b" " + facts) if self.flags_last else (facts + b" ", b"")
        stream.write(
            b"* %d FETCH (%sBODY[] {%d}\r\n" % (uid, before, len(raw) + self.announces.get(uid, 0))
        )
        if uid in self.cuts_short:
            stream.write(raw[: len(raw) // 2])
            raise ConnectionAbortedError
        stream.write(raw + after + b")\r\n" + self.chatter)


def _members(uid_set: str) -> Iterator[int]:
    for part in uid_set.split(","):
        low, _, high = part.partition(":")
        yield from range(int(low), int(high or low) + 1)


@dataclass
class Pop3Double:
    """A POP3 server; ``uidl`` gives the identity of each message number, "" a blank one."""

    mails: list[bytes]
    uidl: list[str] | None = None  #: None: the server does not know UIDL
    hangs_up_on: set[int] = field(default_factory=set)
    refuses: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    drops_at_quit: bool = False
    connections: int = 0

    def talk(self, stream: Line) -> None:
        """One connection, up to its end; what it deletes counts at QUIT."""
        self.connections += 1
        doomed: set[int] = set()
        stream.write(b"+OK ready\r\n")
        while words := stream.readline().decode().split():
            command, number = words[0].upper(), int(words[1]) if words[-1].isdecimal() else 0
            if command == "QUIT" and self.drops_at_quit:
                return
            if command == "DELE":
                doomed.add(number)
            stream.write(self._answer(command, number))
            if command == "QUIT":
                self.deleted |= doomed
                return

    def _answer(self, command: str, number: int) -> bytes:
        if command == "LIST":
            return self._lines(str(len(raw)) for raw in self.mails)
        if command == "UIDL":
            return self._lines(self.uidl) if self.uidl is not None else b"-ERR what?\r\n"
        if command == "CAPA":
            return b"-ERR what?\r\n"
        if command == "RETR" and number in self.hangs_up_on:
            raise ConnectionAbortedError
        if command == "RETR" and number in self.refuses:
            return b"-ERR [SYS/PERM] cannot read that one\r\n"
        if command == "RETR":
            stuffed = re.sub(rb"(?m)^\.", b"..", self.mails[number - 1])
            return b"+OK\r\n" + stuffed + b".\r\n"
        return b"+OK\r\n"

    def _lines(self, words: Iterator[str] | list[str]) -> bytes:
        lines = "".join(f"{n} {word}\r\n" for n, word in enumerate(words, start=1))
        return f"+OK\r\n{lines}.\r\n".encode()
