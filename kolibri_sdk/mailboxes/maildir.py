"""Reading a Maildir (https://cr.yp.to/proto/maildir.html): one file per mail, flags in its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import ConnectionFailed, MailboxError, ServerRefused
from kolibri_sdk.mailboxes.source import (
    Batch,
    Fetched,
    FolderStatus,
    Listed,
    Listing,
    Moves,
    in_batches,
)
from kolibri_sdk.mailboxes.survey import FolderCount, Survey

__all__ = ["MaildirSource"]

_DIGITS = re.compile(r"[0-9]{1,18}")


class _File(NamedTuple):
    path: Path
    uid: str
    flags: str
    size: int
    arrived: datetime

    @property
    def seen(self) -> bool:
        return "S" in self.flags


class MaildirSource:
    """A Maildir; see :class:`~kolibri_sdk.mailboxes.MailSource`.

    A mail's UID is the unique part of its file's name, its time of arrival the file's time stamp.

    Parameters
    ----------
    mailbox : str
        The mailbox's name, for messages.
    path : Path
        The folder that holds ``new`` and ``cur``.
    """

    def __init__(self, mailbox: str, path: Path) -> None:
        self._mailbox = mailbox
        self._path = path
        self._files: dict[str, _File] = {}
        if not ((path / "new").is_dir() and (path / "cur").is_dir()):
            raise ConnectionFailed(
                mailbox,
                f"there is no Maildir at {path}",
                "Correct `path:`, or make it: a folder that holds the folders new, cur and tmp.",
            )

    def folders(self) -> tuple[str, ...]:
        """One: INBOX."""
        return ("INBOX",)

    def open(self, folder: str) -> FolderStatus:
        """Look what lies there."""
        self._files = self._scan()
        return FolderStatus(folder, 0, None, ordered=False)

    def list(self, *, unread: bool, above: int | None, since: datetime | None) -> Listing:  # noqa: ARG002 (not ordered: the ledger decides)
        """All mails with their seen flag, in order of arrival."""
        self._files = self._scan()
        files = sorted(self._files.values(), key=_by_arrival)
        return [
            Listed(file.uid, file.size, file.seen)
            for file in files
            if since is None or file.arrived >= since
        ]

    def present(self) -> frozenset[str]:
        """The UIDs of all mails that lie there now."""
        self._files = self._scan()
        return frozenset(self._files)

    def fetch(self, listed: Sequence[Listed]) -> Iterator[Batch]:
        """The mails in batches."""
        for batch in in_batches(listed):
            fetched = [self._read(mail.uid) for mail in batch]
            reach("fetch.batch")
            yield fetched

    def mark_seen(self, uids: Sequence[str]) -> None:
        """Move to ``cur`` with the flag S."""
        self._flag(uids, "S")

    def mark_deleted(self, uids: Sequence[str]) -> None:
        """Move to ``cur`` with the flag T (trashed); mail readers take such files away."""
        self._flag(uids, "T")

    def move(self, uids: Sequence[str], folder: str) -> Moves:
        """Move into a folder beside, as Maildir++ has it: ``Archive/2026`` is ``.Archive.2026``."""
        self._files = self._scan()
        target = self._path / f".{folder.replace('/', '.')}"
        with self._told(f"moving mail to {target.name}"):
            for name in ("tmp", "new", "cur"):
                (target / name).mkdir(parents=True, exist_ok=True)
            (target / "maildirfolder").touch()  # tells an MTA that this is no mailbox by itself
            for uid in uids:
                file = self._files.get(uid)
                if file is not None:
                    base = file.path.name.partition(":2,")[0]
                    file.path.rename(target / "cur" / f"{base}:2,{file.flags}")
        return []

    def survey(self) -> Survey:
        """What lies there."""
        files = self._scan().values()
        unseen = sum(not file.seen for file in files)
        return Survey(folders=(FolderCount("INBOX", len(files), unseen),))

    def close(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _scan(self) -> dict[str, _File]:
        files: dict[str, _File] = {}
        with self._told("reading the folder"):
            for name in ("new", "cur"):
                with os.scandir(self._path / name) as entries:
                    files.update((file.uid, file) for file in map(_file, entries) if file)
        return files

    def _read(self, uid: str) -> Fetched:
        # A mail reader may rename the file at any time (a flag changes): then look again, once.
        return self._read_now(uid) or self._read_after_scan(uid)

    def _read_after_scan(self, uid: str) -> Fetched:
        self._files = self._scan()
        gone = Fetched(uid, None, None, False, "the file is no longer there")
        return self._read_now(uid) or gone

    def _read_now(self, uid: str) -> Fetched | None:
        file = self._files.get(uid)
        if file is None:
            return None
        try:
            raw = file.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return Fetched(uid, None, file.arrived, file.seen, f"{file.path}: {error.strerror}")
        why = "" if raw else f"{file.path} is empty"
        return Fetched(uid, raw or None, file.arrived, file.seen, why)

    def _flag(self, uids: Sequence[str], flag: str) -> None:
        self._files = self._scan()
        with self._told(f"setting the flag {flag}"):
            for uid in uids:
                file = self._files.get(uid)
                if file is not None and flag not in file.flags:
                    flags = "".join(sorted({*file.flags, flag}))
                    base = file.path.name.partition(":2,")[0]
                    file.path.rename(self._path / "cur" / f"{base}:2,{flags}")

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind: type[MailboxError] = (
                ServerRefused if isinstance(error, PermissionError) else ConnectionFailed
            )
            raise kind(
                self._mailbox,
                f"{error.filename or self._path}: {error.strerror} while {doing}",
                "Check that the folder is there and that we may read and rename files in it.",
            ) from error


def _by_arrival(file: _File) -> tuple[datetime, list[int], str]:
    # Names tell microseconds and a counter, without leading zeros: within one tick of the file
    # system's clock they decide.
    return file.arrived, [int(digits) for digits in _DIGITS.findall(file.uid)], file.uid


def _file(entry: os.DirEntry[str]) -> _File | None:
    if entry.name.startswith("."):
        return None
    try:
        stat = entry.stat()
    except FileNotFoundError:  # moved since the folder was read: it turns up under its new name
        return None
    base, _, flags = entry.name.partition(":2,")
    return _File(
        path=Path(entry.path),
        uid=os.fsencode(base).decode("utf-8", "backslashreplace"),
        flags=flags,
        size=stat.st_size,
        arrived=datetime.fromtimestamp(stat.st_mtime, UTC),
    )
