"""From a mailbox's file to a connection."""

from __future__ import annotations

from pathlib import Path

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.credential import Credential
from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.mailboxes.imap import ImapSource
from kolibri_sdk.mailboxes.maildir import MaildirSource
from kolibri_sdk.mailboxes.maildir_transport import MaildirTransport
from kolibri_sdk.mailboxes.oauth2 import AccessTokens
from kolibri_sdk.mailboxes.password import resolve
from kolibri_sdk.mailboxes.pop3 import Pop3Source
from kolibri_sdk.mailboxes.smtp import SmtpTransport
from kolibri_sdk.model.mailbox import (
    ImapServer,
    Mailbox,
    MaildirFolder,
    SmtpServer,
)
from kolibri_sdk.model.secret import Password

__all__ = ["open_source", "open_transport"]


def open_source(
    mailbox: Mailbox, *, root: Path = Path(), tokens: AccessTokens | None = None
) -> ImapSource | Pop3Source | MaildirSource:
    """Connect to the incoming side of a mailbox.

    Parameters
    ----------
    mailbox : Mailbox
        As its file describes it.
    root : Path
        The project folder; paths in the file (a Maildir, ``ca``) are relative to it.
    tokens : AccessTokens, optional
        Those of the mailbox where it has ``oauth2``; made anew without it.

    Returns
    -------
    MailSource
        A context manager.

    Raises
    ------
    ConfigurationError
        The mailbox has no incoming side, or its password or CA is not to be found.
    ConnectionFailed, LoginRefused, ServerRefused
        With host and port, what happened, and the next step.

    Examples
    --------
    >>> with open_source(support) as source:  # doctest: +SKIP
    ...     status = source.open("INBOX")
    ...     for batch in source.fetch(source.list(unread=True, above=None, since=None)):
    ...         print([mail.uid for mail in batch])
    """
    server = mailbox.inbound
    if server is None:
        raise _no_side(mailbox, "inbound")
    if isinstance(server, MaildirFolder):
        return MaildirSource(mailbox.name, root / server.path)
    endpoint = Endpoint.of(mailbox, server, root)
    credential = _credential(mailbox, server.user, server.password, root, tokens)
    if isinstance(server, ImapServer):
        return ImapSource(endpoint, credential, server.folders)
    return Pop3Source(endpoint, credential)


def open_transport(
    mailbox: Mailbox, *, root: Path = Path(), tokens: AccessTokens | None = None
) -> SmtpTransport | MaildirTransport:
    """Connect to the outgoing side of a mailbox.

    Parameters, errors and use are those of :func:`open_source`; what comes back is a
    :class:`~kolibri_sdk.mailboxes.MailTransport`.
    """
    server = mailbox.outbound
    if server is None:
        raise _no_side(mailbox, "outbound")
    if isinstance(server, SmtpServer):
        credential = _smtp_credential(mailbox, server, root, tokens)
        endpoint = Endpoint.of(mailbox, server, root)
        return SmtpTransport(endpoint, credential, server.mails_per_connection)
    return MaildirTransport(mailbox.name, root / server.path)


def _smtp_credential(
    mailbox: Mailbox, server: SmtpServer, root: Path, tokens: AccessTokens | None
) -> Credential | None:
    if server.user is None and server.password is None:
        return None
    if server.user is None or (server.password is None and mailbox.oauth2 is None):
        raise ConfigurationError(
            f"Mailbox {mailbox.name}: outbound needs both user and password, or neither",
            "Add the missing one.",
        )
    return _credential(mailbox, server.user, server.password, root, tokens)


def _credential(
    mailbox: Mailbox,
    user: str,
    password: Password | None,
    root: Path,
    tokens: AccessTokens | None,
) -> Credential:
    """The password where the side names one, else the mailbox's access tokens."""
    if password is not None:
        return resolve(password, mailbox, user)
    return tokens or AccessTokens(mailbox, root)


def _no_side(mailbox: Mailbox, side: str) -> ConfigurationError:
    return ConfigurationError(
        f"Mailbox {mailbox.name} has no {side} side", f"Add `{side}:` to {mailbox.file or 'it'}."
    )
