"""The files that an archive consists of: of a folder, a zip or a tar; nothing is ever unpacked."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kolibri_sdk.archives.names import leads_outside, zip_member_name
from kolibri_sdk.archives.stream import ArchiveDamaged, Budget, ByteStream, Meter, Metered

__all__ = ["Entry", "entries_of_folder", "entries_of_tar", "entries_of_zip"]

_ENCRYPTED = 0x1
#: What zipfile raises; RuntimeError is NotImplementedError's parent, of kinds it does not know.
_BROKEN = (zipfile.BadZipFile, OSError, ValueError, RuntimeError, struct.error, EOFError)
_NOT_MAIL = {"__MACOSX", "tmp"}  #: macOS's shadows; Maildir's mails that are still being written


class _Opened(Protocol):
    def __call__(self) -> AbstractContextManager[ByteStream]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A file: its place within the archive, how messages call it, and how to read it.

    ``error`` says why it cannot be read; then there is nothing to open.
    """

    path: str
    source: str
    opened: _Opened
    error: str = ""


def entries_of_folder(root: Path, meter: Meter) -> Iterator[Entry]:
    """All files of a folder and its folders, by name; links to folders are not followed."""
    yield from _walked(root, "", meter)


def _walked(folder: Path, inside: str, meter: Meter) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
    except OSError as error:
        yield _failed(inside or ".", str(folder), f"the folder cannot be read: {error.strerror}")
        return
    for child in children:
        name = os.fsencode(child.name).decode("utf-8", "backslashreplace")
        path = f"{inside}{name}"
        if child.is_dir(follow_symlinks=False):
            if name not in _NOT_MAIL:
                yield from _walked(Path(child.path), f"{path}/", meter)
        elif not name.startswith("."):
            yield from _file(child, path, f"{folder}/{name}", meter)


def _file(child: os.DirEntry[str], path: str, source: str, meter: Meter) -> Iterator[Entry]:
    try:
        status = child.stat()
    except OSError as error:
        yield _failed(path, source, error.strerror or str(error))
        return
    if stat.S_ISREG(status.st_mode):  # a pipe or a device would keep us waiting

        def opened() -> AbstractContextManager[ByteStream]:
            return _OnDisk(child.path, source, meter)

        yield Entry(path, source, opened)


class _OnDisk(AbstractContextManager[ByteStream]):
    def __init__(self, path: str, source: str, meter: Meter) -> None:
        self._path, self._source, self._meter = path, source, meter

    def __enter__(self) -> ByteStream:
        try:
            self._file = open(self._path, "rb")
        except OSError as error:
            raise ArchiveDamaged(f"{self._source} cannot be opened ({error.strerror})") from error
        return ByteStream(Metered(self._file, self._meter), self._source)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def entries_of_zip(file: Any, name: str, budget: Budget) -> Iterator[Entry]:
    """The members of a zip, in its own order."""
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN as error:
        yield _failed("", name, f"the zip is damaged: {error}")
        return
    with archive:
        for member in archive.infolist():
            path = zip_member_name(member)
            source = f"{name}!{path}"
            if not path or path.endswith("/") or _hidden(path):
                continue
            if leads_outside(path):
                yield _failed("", source, _OUTSIDE)
            elif member.flag_bits & _ENCRYPTED:
                yield _failed(path, source, "it is encrypted; unpack it with its password")
            else:

                def opened(
                    member: zipfile.ZipInfo = member, source: str = source
                ) -> AbstractContextManager[ByteStream]:
                    return _Member(archive, member, source, budget)

                yield Entry(path, source, opened)


class _Member(AbstractContextManager[ByteStream]):
    def __init__(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str, budget: Budget
    ) -> None:
        self._archive, self._member = archive, member
        self._source, self._budget = source, budget

    def __enter__(self) -> ByteStream:
        try:
            self._file = self._archive.open(self._member)
        except _BROKEN as error:
            raise ArchiveDamaged(f"{self._source} cannot be unpacked ({error})") from error
        return ByteStream(self._file, self._source, self._budget)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def entries_of_tar(stream: ByteStream, name: str, budget: Budget) -> Iterator[Entry]:
    """The members of a tar, in its own order; each is read before the next one is asked for."""
    file: Any = stream  # tarfile asks for nothing but ``read`` here
    try:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                path = os.fsencode(member.name).decode("utf-8", "backslashreplace")
                source = f"{name}!{path}"
                if not member.isreg() or _hidden(path.removeprefix("./")):
                    continue
                if leads_outside(path):
                    yield _failed("", source, _OUTSIDE)
                    continue
                content = archive.extractfile(member)

                def opened(
                    content: Any = content, source: str = source
                ) -> AbstractContextManager[ByteStream]:
                    return nullcontext(ByteStream(content, source, budget))

                yield Entry(path.removeprefix("./"), source, opened)
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        yield _failed("", name, f"the tar is damaged: {error}")
    except ArchiveDamaged as error:
        yield _failed("", name, str(error))


_OUTSIDE = "its name leads out of the archive; such archives are made to do harm"


def _hidden(path: str) -> bool:
    *folders, name = path.split("/")
    dotted = name.startswith(".") and name not in {".", ".."}
    return dotted or not _NOT_MAIL.isdisjoint(folders)


def _failed(path: str, source: str, error: str) -> Entry:
    def opened() -> AbstractContextManager[ByteStream]:
        raise ArchiveDamaged(error)

    return Entry(path, source, opened, error=error)
