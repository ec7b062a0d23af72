"""Opening an archive of old mail, whatever form it has."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from kolibri_sdk.archives.contents import described, looks_like_mail, mails_of
from kolibri_sdk.archives.entries import (
    Entry,
    entries_of_folder,
    entries_of_tar,
    entries_of_zip,
)
from kolibri_sdk.archives.found import ArchivedMail
from kolibri_sdk.archives.mbox import begins_mbox
from kolibri_sdk.archives.stream import (
    ArchiveDamaged,
    Budget,
    ByteStream,
    Meter,
    Metered,
    unpacked,
)
from kolibri_sdk.errors import ConfigurationError

__all__ = ["Archive", "open_archive"]

_HEAD = 4096
_TAR = (257, b"ustar")
_FORMS = "an mbox, a Maildir, a folder of .eml files, one .eml, or a zip or tar of these"


class Archive:
    """Old mail in a file or folder; going through it again begins anew.

    Parameters
    ----------
    path : Path
        As the user named it; ``source`` of its mails begins with it.
    kind : str
        ``mbox``, ``Maildir``, ``folder``, ``mail``, ``zip`` or ``tar``.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        self._meter = Meter()
        self._total: int | None = None

    @property
    def read_bytes(self) -> int:
        """How much of the archive has been read, in bytes of its own."""
        return self._meter.count

    def total_bytes(self) -> int:
        """How large the archive is; of a folder, all its files are looked at."""
        if self._total is None:
            self._total = self._sized()
        return self._total

    def _sized(self) -> int:
        if self.path.is_file():
            return self.path.stat().st_size
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    total += os.stat(os.path.join(folder, name)).st_size
                except OSError:  # gone, or a link into nowhere
                    continue
        return total

    def __iter__(self) -> Iterator[ArchivedMail]:
        """The mails, one after the other; one that cannot be read comes with its error."""
        self._meter.count = 0
        for mail in self._mails():
            yield mail if mail.folder else replace(mail, folder=self.path.name or str(self.path))

    def _mails(self) -> Iterator[ArchivedMail]:
        budget = Budget(str(self.path), self.total_bytes())
        if self.path.is_dir():
            for entry in entries_of_folder(self.path, self._meter):
                yield from mails_of(entry, budget)
            return
        with self.path.open("rb") as file:
            for entry in self._entries(Metered(file, self._meter), budget):
                yield from mails_of(entry, budget)

    def _entries(self, file: Metered, budget: Budget) -> Iterator[Entry]:
        name = str(self.path)
        if self.kind == "zip":
            return entries_of_zip(file, name, budget)
        stream = ByteStream(file, name)
        if self.kind == "tar":
            return entries_of_tar(unpacked(stream, name, budget) or stream, name, budget)

        def opened() -> AbstractContextManager[ByteStream]:
            return nullcontext(stream)

        return iter([Entry(self.path.name, name, opened)])


def open_archive(path: str | Path) -> Archive:
    """Look what a file or folder is.

    Raises
    ------
    ConfigurationError
        When there is nothing, or no mail in it; the message says what it looks like.

    Examples
    --------
    >>> for mail in open_archive("old/support.mbox"):               # doctest: +SKIP
    ...     print(mail.source, mail.folder, len(mail.raw or b""))
    """
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            return Archive(path, _kind_of_folder(path))
        if not path.exists():
            raise ConfigurationError(f"There is no file or folder {path}", _near(path))
        return Archive(path, _kind_of_file(path))
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or path} cannot be read ({error.strerror})",
            "Check its permissions",
        ) from error


def _near(path: Path) -> str:
    above = path.parent
    if not above.is_dir():
        return f"There is no folder {above} either"
    names = sorted(child.name for child in above.iterdir() if not child.name.startswith("."))
    told = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return f"{above if above != Path() else 'This folder'} holds {told or 'nothing'}"


def _kind_of_folder(path: Path) -> str:
    if (path / "cur").is_dir() and (path / "new").is_dir():
        return "Maildir"
    seen: list[str] = []
    for entry in entries_of_folder(path, Meter()):
        if entry.error or next(mails_of(entry, Budget(entry.source, 0)), None) is not None:
            return "folder"
        seen.append(entry.path)
        if len(seen) == 10_000:
            break
    shown = ", ".join(seen[:5]) + (" …" if len(seen) > 5 else "")
    raise ConfigurationError(
        f"There is no mail in the folder {path}: it holds {shown or 'no file'}", f"Name {_FORMS}"
    )


def _kind_of_file(path: Path) -> str:
    if zipfile.is_zipfile(path):
        return "zip"
    with path.open("rb") as file:
        outer = ByteStream(file, str(path))
        try:
            stream = unpacked(outer, str(path), Budget(str(path), path.stat().st_size)) or outer
            head = stream.peek(_HEAD)
        except ArchiveDamaged as error:
            raise ConfigurationError(str(error.what), error.next_step) from error
    start, magic = _TAR
    if head[start : start + len(magic)] == magic:
        return "tar"
    if begins_mbox(head):
        return "mbox"
    if looks_like_mail(head) or (path.suffix.lower() in {".eml", ".emlx"} and head):
        return "mail"
    raise ConfigurationError(f"{path} is no mail archive: it {described(head)}", f"Name {_FORMS}")
