"""A logged-in POP3 connection (RFC 1939) that retrieves many mails at a time."""

from __future__ import annotations

import base64
import poplib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from kolibri_sdk.mailboxes.credential import Credential, sign_in
from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.mailboxes.oauth2 import Bearer
from kolibri_sdk.model.mailbox import Security

__all__ = ["Pop3Session", "connected"]

PIPELINE = 20  #: commands sent before the first answer is read, where the server allows it


class Pop3Session(poplib.POP3):
    """poplib's session, with TLS from the first byte where asked for, and with bulk retrieval.

    poplib reads no line over 2,048 bytes, so that it cannot retrieve many an HTML mail; mails are
    read here.
    """

    _getresp: Callable[[], bytes]  # poplib has them, its type stubs do not
    _shortcmd: Callable[[str], bytes]

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.window = 1
        try:
            super().__init__(endpoint.host, endpoint.port, endpoint.timeout)
        except BaseException:
            with suppress(AttributeError, OSError):
                self.close()
            raise

    def _create_socket(self, timeout: float) -> socket.socket:
        line = socket.create_connection((self.host, self.port), timeout)
        if self._endpoint.security is not Security.TLS:
            return line
        return self._endpoint.context.wrap_socket(line, server_hostname=self.host)

    def pairs(self, command: str) -> dict[int, str]:
        """What ``LIST`` or ``UIDL`` says of each mail; empty where the server does not know it."""
        (listing,) = self.retrieve([command])
        if not isinstance(listing, bytes):
            return {}
        words = (line.split(maxsplit=1) for line in listing.decode("ascii", "replace").splitlines())
        return {int(word[0]): word[1].strip() for word in words if len(word) == 2}

    def capabilities(self) -> tuple[str, ...]:
        """What the server says it can do (RFC 2449); empty where it does not know CAPA."""
        (listing,) = self.retrieve(["CAPA"])
        return (
            tuple(listing.decode("ascii", "replace").splitlines())
            if isinstance(listing, bytes)
            else ()
        )

    def authenticate(self, said: Bearer) -> None:
        """Log in with an access token (RFC 5034); raises ``error_proto`` when refused."""
        self._shortcmd(f"AUTH {said.mechanism}")
        answer = self._shortcmd(base64.b64encode(said.response).decode("ascii"))
        if not answer.startswith(b"+OK"):  # a question that tells why it refuses
            self._shortcmd(base64.b64encode(said.farewell).decode("ascii"))
            raise poplib.error_proto("-ERR the token was not accepted")

    def retrieve(self, commands: Sequence[str]) -> Iterator[bytes | poplib.error_proto]:
        """The text that each command (``RETR 1``, ``TOP 7 0``) gives, or the server's refusal."""
        for start in range(0, len(commands), self.window):
            some = commands[start : start + self.window]
            self.sock.sendall("".join(f"{command}\r\n" for command in some).encode("ascii"))
            for _ in some:
                try:
                    self._getresp()
                except poplib.error_proto as error:
                    if "EOF" in str(error):
                        raise
                    yield error
                else:
                    yield self._text()

    def _text(self) -> bytes:
        """Read up to the line with the single dot; leading dots are undoubled."""
        lines: list[bytes] = []
        while (line := self.file.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise poplib.error_proto("-ERR EOF")
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)


def connected(endpoint: Endpoint, credential: Credential) -> Pop3Session:
    """Connect, protect the line, log in.

    Raises
    ------
    ConnectionFailed, ServerRefused, LoginRefused
        With what happened, and the next step.
    """
    with endpoint.told("connecting"):
        session = Pop3Session(endpoint)
    try:
        if endpoint.security is Security.STARTTLS:
            _start_tls(session, endpoint)
        if isinstance(credential, str):
            with endpoint.logging_in():
                session.user(endpoint.user)
                session.pass_(credential)
        else:
            with endpoint.told("asking what it can do"):
                offered = _mechanisms(session)
            sign_in(endpoint, credential, offered, session.authenticate)
        with endpoint.told("asking what it can do"):
            session.window = PIPELINE if "PIPELINING" in session.capabilities() else 1
    except BaseException:
        with suppress(OSError):
            session.close()
        raise
    return session


def _mechanisms(session: Pop3Session) -> list[str]:
    listed = (line.split() for line in session.capabilities())
    return [name for words in listed if words[:1] == ["SASL"] for name in words[1:]]


def _start_tls(session: Pop3Session, endpoint: Endpoint) -> None:
    with endpoint.told("starting TLS"):
        if "STLS" not in session.capabilities():
            raise endpoint.no_starttls()
        session.stls(endpoint.context)
