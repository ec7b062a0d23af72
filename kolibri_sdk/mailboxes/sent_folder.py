r"""The Sent folder of an IMAP mailbox: what lies there went out; a copy is put there once."""

from __future__ import annotations

import imaplib
from datetime import datetime

from imapclient import SEEN

from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import ServerRefused
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.mailboxes.imap_session import ImapSession

__all__ = ["SentFolder"]

#: What programs call it where the server does not say which it is (RFC 6154).
_NAMES = (
    *("Sent", "Sent Items", "Sent Messages", "Sent Mail", "INBOX.Sent", "Gesendet"),
    *("Gesendete Elemente", "Gesendete Objekte", "Gesendete Nachrichten", "Envoyés"),
    *("Éléments envoyés", "Enviados", "Elementos enviados", "Posta inviata", "Verzonden items"),
    *("Wysłane", "Skickat", "Sendt post"),
)


class SentFolder:
    r"""The folder for sent mail, on a connection that is there already.

    Parameters
    ----------
    session : ImapSession
        Logged in; another folder may be open.
    name : str or None
        The folder; None looks for the one with the mark ``\Sent``, then for its usual names.
    """

    def __init__(self, session: ImapSession, name: str | None) -> None:
        self._session = session
        self._wanted = name
        self._name: str | None = None

    @property
    def _endpoint(self) -> Endpoint:
        return self._session.endpoint

    def holds(self, message_id: str) -> bool:
        """Whether a mail with this Message-ID (without brackets) lies there."""
        name = self._found()
        with self._endpoint.told(f"looking into the folder {name!r}"):
            opened = self._session.opened
            if opened is None or opened.status.folder != name:
                self._session.open(name)
            else:
                self._session.client.line.noop()
            wanted = plain(message_id, "the Message-ID", self._endpoint.mailbox)
            quoted = wanted.replace("\\", "\\\\").replace('"', '\\"')
            return bool(self._session.search(f'HEADER Message-ID "<{quoted}>"', low=1))

    def put(self, message_id: str, raw: bytes, at: datetime) -> bool:
        r"""Put a copy there, read (``\Seen``), unless it lies there; whether it was put there now.

        Looking first is what makes it once: nobody knows how far an earlier try came.
        """
        if self.holds(message_id):
            return False
        name = self._found()
        with self._endpoint.told(f"putting a copy into the folder {name!r}"):
            self._session.client.append(name, raw, flags=[SEEN], msg_time=at)
        reach("copy.appended")
        return True

    def _found(self) -> str:
        if self._name is None:
            self._name = self._looked_for()
        return self._name

    def _looked_for(self) -> str:
        client = self._session.client
        with self._endpoint.told("asking for the folders"):
            folders = [(flags, name) for flags, _, name in client.list_folders()]
        names = {name for _, name in folders}
        if self._wanted is not None:
            if self._wanted not in names:
                self._make(self._wanted)
            return self._wanted
        for flags, name in folders:
            if b"\\sent" in {flag.lower() for flag in flags}:
                return str(name)
        for name in _NAMES:
            if name in names:
                return name
        raise ServerRefused(
            self._endpoint.mailbox,
            f"{self._endpoint} marks no folder as the one for sent mail; it has "
            f"{', '.join(sorted(names)[:20])}",
            "Name it: sent_folder: in outbound; one that is missing is made.",
        )

    def _make(self, name: str) -> None:
        plain(name, "the folder name", self._endpoint.mailbox)
        with self._endpoint.told(f"making the folder {name!r}"):
            try:
                self._session.client.create_folder(name)
                self._session.client.subscribe_folder(name)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as error:
                if b"ALREADYEXISTS" not in str(error).encode():
                    raise
