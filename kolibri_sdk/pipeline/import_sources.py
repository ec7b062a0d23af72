"""Where historic mail is imported from: an archive on disk, or folders of a mailbox's server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from kolibri_sdk.archives import Archive, ArchivedMail
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes import FolderStatus, Listed, MailSource, open_source
from kolibri_sdk.model.mailbox import Fetch, ImapServer, Mailbox
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import ledger

__all__ = ["ArchiveToImport", "FoldersToImport", "ImportSource", "ToImport"]


@dataclass(frozen=True, slots=True)
class ToImport:
    """A historic mail, with its place in the ledger where it lies on a server.

    ``skipped`` says why it is not to be imported: ``known`` to the ledger, or left to the
    ``poller``; empty where it is.
    """

    mail: ArchivedMail
    server: tuple[str, int, str] | None = None  #: folder, UIDVALIDITY, UID
    skipped: str = ""


class ImportSource(Protocol):
    """Historic mails, and how far one has come with them."""

    name: str
    unit: str  #: what ``done`` and ``total`` count: bytes or mails

    @property
    def done(self) -> int:
        """How much has been gone through."""
        ...

    def total(self) -> int:
        """How much there is."""
        ...

    def __iter__(self) -> Iterator[ToImport]:
        """The mails, one after the other."""
        ...


class ArchiveToImport:
    """An archive on disk."""

    unit = "bytes"

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.name = str(archive.path)

    @property
    def done(self) -> int:
        """Bytes read."""
        return self._archive.read_bytes

    def total(self) -> int:
        """Its size."""
        return self._archive.total_bytes()

    def __iter__(self) -> Iterator[ToImport]:
        return map(ToImport, self._archive)


class FoldersToImport:
    """Folders of an IMAP mailbox, read by its own settings; no flag changes there.

    What the poller is going to fetch from a folder is left to it: those mails are to trigger rules.

    Parameters
    ----------
    system : System
        Its ledger knows what was read.
    mailbox : Mailbox
        As its file describes it.
    folders : sequence of str
        As the server calls them; the mailbox's own where none are named.
    since : datetime, optional
        Leave out what the server got before.

    Raises
    ------
    ConfigurationError
        When the mailbox is not read by IMAP.
    """

    unit = "mails"

    def __init__(
        self, system: System, mailbox: Mailbox, folders: Sequence[str], since: datetime | None
    ) -> None:
        if not isinstance(mailbox.inbound, ImapServer):
            how = mailbox.inbound.protocol if mailbox.inbound else "nothing"
            raise ConfigurationError(
                f"Mailbox {mailbox.name} is read by {how}, which has no folders to import from",
                "Name the path of a Maildir or another archive instead",
            )
        self._system = system
        self._mailbox = mailbox
        self._folders = tuple(folders) or mailbox.inbound.folders
        self._polled = frozenset(mailbox.inbound.folders)
        self._unread = mailbox.inbound.fetch is Fetch.UNREAD
        self._since = since
        self._total = 0
        self.done = 0
        self.name = f"imap:{mailbox.name}/{','.join(self._folders)}"

    def total(self) -> int:
        """Mails in the folders that have been listed so far."""
        return self._total

    def __iter__(self) -> Iterator[ToImport]:
        self.done = self._total = 0
        with open_source(self._mailbox, root=self._system.root) as source:
            for folder in self._folders:
                yield from self._of_folder(source, source.open(folder))

    def _of_folder(self, source: MailSource, status: FolderStatus) -> Iterator[ToImport]:
        listed = source.list(unread=False, above=None, since=self._since)
        self._total += len(listed)
        place = (self._mailbox.name, status.folder, status.uidvalidity)
        with self._system.store.read() as tx:
            states = ledger.states(tx, *place, (item.uid for item in listed))
        known = {uid for uid, state in states.items() if state not in ledger.LEFT}
        pollers = self._pollers(source, status) - known
        wanted: list[Listed] = []
        for item in listed:
            if item.uid in known or item.uid in pollers:
                why = "known" if item.uid in known else "poller"
                yield self._counted(ToImport(ArchivedMail("", status.folder, None), skipped=why))
            else:
                wanted.append(item)
        for batch in source.fetch(wanted):
            for got in batch:
                where = f"imap:{self._mailbox.name}/{status.folder};UID={got.uid}"
                mail = ArchivedMail(where, status.folder, got.raw, got.received_at, got.error)
                yield self._counted(ToImport(mail, (status.folder, status.uidvalidity, got.uid)))

    def _counted(self, item: ToImport) -> ToImport:
        self.done += 1
        return item

    def _pollers(self, source: MailSource, status: FolderStatus) -> set[str]:
        if status.folder not in self._polled:
            return set()
        with self._system.store.read() as tx:
            state = ledger.folder_state(tx, self._mailbox.name, status.folder)
        same = state.uidvalidity == status.uidvalidity
        since = self._mailbox.bounds_first_import() if state.uidvalidity is None else None
        above = state.high_water if same else None
        return {i.uid for i in source.list(unread=self._unread, above=above, since=since)}
