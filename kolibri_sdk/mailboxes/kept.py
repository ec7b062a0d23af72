"""Connections that outlive a pass: they make an idle one cheap, and wait in IDLE for the next."""

from __future__ import annotations

import imaplib
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError, MailboxError
from kolibri_sdk.mailboxes.imap import ImapSource
from kolibri_sdk.mailboxes.imap_session import LINE_LOST, ImapSession
from kolibri_sdk.mailboxes.maildir_transport import MaildirTransport
from kolibri_sdk.mailboxes.oauth2 import AccessTokens
from kolibri_sdk.mailboxes.opening import open_source, open_transport
from kolibri_sdk.mailboxes.sent_folder import SentFolder
from kolibri_sdk.mailboxes.smtp import SmtpTransport
from kolibri_sdk.mailboxes.source import FolderStatus, MailSource
from kolibri_sdk.model.mailbox import ImapServer, Mailbox
from kolibri_sdk.schedule import Stop

__all__ = ["Connections"]

_LOOK = 0.2  #: seconds between two looks at whether an end is asked for


@dataclass(slots=True)
class _Kept:
    """A connection, and the part of the mailbox's file that it was made from."""

    server: ImapServer
    source: ImapSource
    idles: bool = True  #: False once the server has refused to


class Connections:
    """The connections of a poller to its mailboxes.

    IMAP connections are kept from pass to pass; POP3 deletes at its end only, and locks the
    mailbox until then, so it connects anew every time. A kept connection is tried out before it
    is used; one that is dead, or that belongs to a mailbox whose file has changed, is replaced.

    Parameters
    ----------
    root : Path
        The project folder; paths in mailbox files are relative to it.

    Examples
    --------
    >>> connections = Connections(Path())                           # doctest: +SKIP
    >>> with connections.source(support) as source:                 # doctest: +SKIP
    ...     source.open("INBOX")
    >>> connections.wait(30, Stop())                                # doctest: +SKIP
    ('support',)
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[str, _Kept] = {}
        self._tokens: dict[str, tuple[object, AccessTokens]] = {}

    @contextmanager
    def source(self, mailbox: Mailbox) -> Iterator[MailSource]:
        """The incoming side of a mailbox, connected; afterwards it is kept, unless it failed.

        Raises
        ------
        ConfigurationError, ConnectionFailed, LoginRefused, ServerRefused
            As :func:`~kolibri_sdk.mailboxes.open_source` does.
        """
        kept = self._resumed(mailbox)
        source = (
            kept.source
            if kept
            else open_source(mailbox, root=self._root, tokens=self.tokens(mailbox))
        )
        if not isinstance(source, ImapSource) or not isinstance(mailbox.inbound, ImapServer):
            with source:
                yield source
            return
        try:
            yield source
        except BaseException as error:
            source.__exit__(type(error), error, error.__traceback__)
            raise
        self._kept[mailbox.name] = kept or _Kept(mailbox.inbound, source)

    def at_rest(self, mailbox: Mailbox) -> FolderStatus | None:
        """The one folder of a mailbox, if its kept connection shows that nothing has changed."""
        kept = self._resumed(mailbox)
        if kept is None:
            return None
        try:
            status = kept.source.at_rest()
        except MailboxError:
            kept.source.close()  # connecting anew tells what is wrong
            return None
        self._kept[mailbox.name] = kept
        return status

    @contextmanager
    def sent_folder(self, mailbox: Mailbox) -> Iterator[SentFolder]:
        """The Sent folder of an IMAP mailbox, on its connection.

        Raises
        ------
        ConfigurationError, ConnectionFailed, LoginRefused, ServerRefused
            As :func:`~kolibri_sdk.mailboxes.open_source` does.
        """
        name = mailbox.outbound.sent_folder if mailbox.outbound is not None else None
        with self.source(mailbox) as source:
            if not isinstance(source, ImapSource):
                raise ConfigurationError(
                    f"Mailbox {mailbox.name} is not read by IMAP, and has no Sent folder",
                    "Take out sent_copy: of its outbound side",
                )
            yield SentFolder(source.session, name)

    def transport(self, mailbox: Mailbox) -> SmtpTransport | MaildirTransport:
        """The outgoing side of a mailbox, connected anew; see ``open_transport``."""
        return open_transport(mailbox, root=self._root, tokens=self.tokens(mailbox))

    def tokens(self, mailbox: Mailbox) -> AccessTokens | None:
        """The access tokens of a mailbox, kept as long as its ``oauth2`` is; None without."""
        return self.required_tokens(mailbox) if mailbox.oauth2 is not None else None

    def required_tokens(self, mailbox: Mailbox) -> AccessTokens:
        """The access tokens of a mailbox; ConfigurationError where it has no ``oauth2``."""
        described = (mailbox.oauth2, mailbox.login_name)
        kept = self._tokens.get(mailbox.name)
        if kept is None or kept[0] != described:
            kept = self._tokens[mailbox.name] = described, AccessTokens(mailbox, self._root)
        return kept[1]

    def wait(self, seconds: float, stop: Stop) -> tuple[str, ...]:
        """Wait that long, or until an end is asked for, or until a server tells of new mail.

        Returns
        -------
        tuple of str
            The mailboxes that have new mail; empty when the time is up or an end was asked for.
        """
        elapsed = clock.stopwatch()
        watched, new = self._watched()
        if not new and not (watched and clock.is_running()):
            stop.wait(seconds - elapsed())
        while watched and not new and not stop.requested and (left := seconds - elapsed()) > 0:
            ready, _, _ = select.select(watched, (), (), min(left, _LOOK))
            for session in [one for one in watched if one in ready or one.due]:
                name = watched[session]
                try:
                    if session.heard():
                        new.add(name)
                except LINE_LOST:
                    self._lost(name, session)
                    del watched[session]
        if not watched and not new:
            stop.wait(seconds - elapsed())
        return tuple(sorted(new))

    def close(self) -> None:
        """Log out everywhere; never raises."""
        while self._kept:
            _, kept = self._kept.popitem()
            kept.source.close()

    def _resumed(self, mailbox: Mailbox) -> _Kept | None:
        kept = self._kept.pop(mailbox.name, None)
        if kept is None:
            return None
        if kept.server != mailbox.inbound:
            kept.source.close()
            return None
        return kept if kept.source.resume() else None

    def _watched(self) -> tuple[dict[ImapSession, str], set[str]]:
        """The sessions that are in IDLE now, with their mailbox's name; who has mail already."""
        watched: dict[ImapSession, str] = {}
        new: set[str] = set()
        for name, kept in list(self._kept.items()):
            sessions, grown = self._sessions(kept)
            if grown:
                new.add(name)
            for session in sessions:
                try:
                    if not session.idling and session.watch():
                        new.add(name)
                    watched[session] = name
                except LINE_LOST:
                    self._lost(name, session)
                except imaplib.IMAP4.error:
                    kept.idles = False  # it offers IDLE and refuses: every pass looks
        return {one: name for one, name in watched.items() if name in self._kept}, new

    def _sessions(self, kept: _Kept) -> tuple[Sequence[ImapSession], bool]:
        try:
            return kept.source.watched() if kept.idles else ((), False)
        except MailboxError:
            return (), False  # the next pass finds out, and tells

    def _lost(self, name: str, session: ImapSession) -> None:
        """A line broke: the next pass connects anew, and tells if it cannot."""
        if name in self._kept and self._kept[name].source.unwatch(session):
            self._kept.pop(name).source.close()
