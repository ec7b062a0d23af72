"""One side of a mailbox on the network: where it is, how the line is protected, what went wrong."""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imapclient.exceptions import LoginError

from kolibri_sdk.errors import (
    ConfigurationError,
    ConnectionFailed,
    LoginRefused,
    MailboxError,
    ServerBusy,
    ServerRefused,
)
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.mailboxes.oauth2.sasl import Bearer, bearer
from kolibri_sdk.model.mailbox import ImapServer, Mailbox, Pop3Server, Security, SmtpServer

__all__ = ["Endpoint", "answer_text"]

_PORTS = {  # protocol → TLS, otherwise (RFC 8314 section 3)
    "imap": (993, 143),
    "pop3": (995, 110),
    "smtp": (465, 587),
}
_LATER = re.compile(  # RFC 5530, 3206, 2449, and how Google, Microsoft and Yahoo say it
    r"\[(UNAVAILABLE|INUSE|IN-USE|LIMIT|OVERQUOTA|THROTTLED|SYS/TEMP|LOGIN-DELAY)|"
    r"too many|throttled|(rate|bandwidth) limit",
    re.IGNORECASE,
)
_BACKOFF = re.compile(r"suggested backoff time: (\d+) milliseconds", re.IGNORECASE)  # Exchange
_CHECK_PASSWORD = "Check user and password; some providers want an app password."  # noqa: S105
_LINE_LOST = (
    imaplib.IMAP4.abort,
    smtplib.SMTPServerDisconnected,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    EOFError,
)
_ANSWERS = (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPException)


def answer_text(answer: object) -> str:
    r"""What a server said, as one line of text.

    Examples
    --------
    >>> answer_text(b"-ERR [AUTH] no\nway")
    '-ERR [AUTH] no way'
    """
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server as a mailbox's file describes it, ready to be connected to.

    Parameters
    ----------
    mailbox, protocol, user : str
        For messages; the user is empty where nobody logs in.
    host, port : str, int
        Where it listens; the port is the protocol's usual one where the file names none.
    security : Security
        How the line is protected.
    context : ssl.SSLContext
        Checks certificates and host names, always; against the private CA if there is one.
    timeout : float
        Seconds until a silent server counts as gone.
    """

    mailbox: str
    protocol: str
    user: str
    host: str
    port: int
    security: Security
    context: ssl.SSLContext
    timeout: float

    @classmethod
    def of(
        cls, mailbox: Mailbox, server: ImapServer | Pop3Server | SmtpServer, root: Path
    ) -> Endpoint:
        """The endpoint that this part of the mailbox's file means; ``ca`` is relative to ``root``.

        Raises
        ------
        ConfigurationError
            When a value cannot be used: a CA file that is not there, a line break in a name.
        """
        by_tls, otherwise = _PORTS[server.protocol]
        return cls(
            mailbox=mailbox.name,
            protocol=server.protocol,
            user=plain(server.user or "", "the user name", mailbox.name),
            host=plain(server.host, "the host name", mailbox.name),
            port=server.port or (by_tls if server.security is Security.TLS else otherwise),
            security=server.security,
            context=_context(mailbox.name, root / server.ca if server.ca else None),
            timeout=server.timeout,
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @contextmanager
    def told(self, doing: str) -> Iterator[None]:
        """Turn what the libraries raise in this block into errors of ours that say where and what.

        Parameters
        ----------
        doing : str
            What was being done, such as ``"opening the folder INBOX"``.

        Raises
        ------
        ConnectionFailed
            The server cannot be reached, cannot be trusted, or the line was lost.
        ServerRefused
            The server answered with an error.
        """
        try:
            yield
        except (OSError, EOFError, *_ANSWERS, ValueError) as error:
            raise self.explained(error, doing) from error

    @contextmanager
    def logging_in(self, mend: str = _CHECK_PASSWORD) -> Iterator[None]:
        """Like :meth:`told`; an answer that does not say "later" means :class:`LoginRefused`.

        Parameters
        ----------
        mend : str
            What the reader can do about a refusal.
        """
        try:
            yield
        except (OSError, EOFError, *_ANSWERS, ValueError) as error:
            cause = error.__context__ if isinstance(error, LoginError) else error
            told = self.explained(cause or error, f"logging in as {self.user}")
            if not isinstance(told, ServerRefused) or isinstance(told, ServerBusy):
                raise told from error
            if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code < 500:
                raise told from error
            raise LoginRefused(
                self.mailbox,
                f"{self} does not let {self.user!r} in: {_words(error)}",
                mend,
            ) from error

    def bearer(self, offered: Iterable[str], token: str) -> Bearer:
        """What is said to log in with an access token.

        Raises
        ------
        ServerRefused
            When the server offers no mechanism for that; nothing secret has been sent yet.
        """
        mechanisms = list(offered)
        found = bearer(mechanisms, self.user, token, self.host, self.port)
        if found is None:
            raise self.refused(
                "OAuth2",
                "it offers neither OAUTHBEARER nor XOAUTH2, but "
                f"{', '.join(mechanisms) or 'no mechanism'}",
            )
        return found

    def lost(self, doing: str, error: BaseException) -> ConnectionFailed:
        """The error for a line that broke."""
        return ConnectionFailed(
            self.mailbox,
            f"the line to {self} was lost while {doing} ({_words(error)})",
            "The next pass tries again; if it goes on, look at the server and the network.",
        )

    def no_starttls(self) -> ConnectionFailed:
        """The error for a server that offers no STARTTLS; nothing secret has been sent yet."""
        return ConnectionFailed(
            self.mailbox,
            f"{self} offers no STARTTLS, so the password was not sent: a plain line can be read, "
            "and somebody on the way may have taken the offer out",
            "Use `security: tls` on the TLS port.",
        )

    def refused(self, doing: str, answer: str) -> ServerRefused:
        """The error for an answer that is one."""
        return ServerRefused(
            self.mailbox, f"{self} refused {doing}: {answer}", "The server's log says more."
        )

    def explained(self, error: BaseException, doing: str) -> MailboxError:
        """The error of ours that says what an exception of a library means here."""
        if isinstance(error, ssl.SSLError) and not isinstance(error, _LINE_LOST):
            return self._not_trusted(error)
        if isinstance(error, _ANSWERS) and _says_later(error):
            return self._busy(doing, _words(error))
        if _is_lost(error):
            return self._timed_out(doing) if _is_timeout(error) else self.lost(doing, error)
        if isinstance(error, _ANSWERS):
            return self.refused(doing, _words(error))
        if isinstance(error, UnicodeEncodeError):
            return self.refused(doing, f"it takes ASCII only, and this is not: {error.object!r}")
        if isinstance(error, ValueError):
            return self.refused(doing, f"its answer makes no sense ({error})")
        return self._unreachable(error, doing)

    def _busy(self, doing: str, answer: str) -> ServerBusy:
        asked = _BACKOFF.search(answer)
        return ServerBusy(
            self.mailbox,
            f"{self} cannot have us now, while {doing}: {answer}",
            "It is left alone for a while. Many connections at once, or a full mailbox, are "
            "frequent reasons.",
            wait=int(asked[1]) / 1000 if asked else None,
        )

    def _not_trusted(self, error: ssl.SSLError) -> ConnectionFailed:
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConnectionFailed(
                self.mailbox,
                f"the certificate of {self} is not trusted: {error.verify_message}",
                "If a private CA signed it, name the CA's certificate file: ca: FILE; and `host:` "
                "is the name that the certificate was made for.",
            )
        return ConnectionFailed(
            self.mailbox,
            f"{self} and we do not agree on TLS: {error.reason or error}",
            f"Port and `security: {self.security}` must fit: 'tls' from the first byte, "
            "'starttls' on the plain port.",
        )

    def _unreachable(self, error: BaseException, doing: str) -> ConnectionFailed:
        if isinstance(error, socket.gaierror):
            what, step = f"there is no host {self.host!r}", "Check `host:` and the DNS."
        elif isinstance(error, ConnectionRefusedError):
            what, step = f"nobody listens at {self}", "Check `host:` and `port:`; is it running?"
        elif isinstance(error, TimeoutError):
            return self._timed_out(doing)
        else:
            return self.lost(doing, error)
        return ConnectionFailed(self.mailbox, what, step)

    def _timed_out(self, doing: str) -> ConnectionFailed:
        return ConnectionFailed(
            self.mailbox,
            f"{self} was silent for {self.timeout:g} s while {doing}",
            "The next pass tries again; a slow server needs a longer `timeout:`.",
        )


def _context(mailbox: str, ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:  # an ssl.SSLError is one, too
        raise ConfigurationError(
            f"Mailbox {mailbox}: the CA certificate {ca} cannot be read ({error.strerror})",
            "`ca:` is a PEM file, relative to the project folder.",
        ) from error


def _is_lost(error: BaseException | None) -> bool:
    if isinstance(error, poplib.error_proto):
        return "EOF" in str(error)
    return isinstance(error, _LINE_LOST)


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error.__context__, TimeoutError)


def _says_later(error: BaseException) -> bool:
    """Whether the server wants to be asked again later, rather than not at all."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code in (421, 454) or (
            error.smtp_code < 500 and bool(_LATER.search(_words(error)))
        )
    return bool(_LATER.search(_words(error)))


def _words(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {answer_text(error.smtp_error)}"
    if error.args and isinstance(error.args[0], bytes):
        return answer_text(error.args[0])
    return answer_text(error) or type(error).__name__
