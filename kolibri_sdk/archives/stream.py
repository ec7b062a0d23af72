"""Bytes of an archive in one pass: looked at before they are read, unpacked, never without end."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from kolibri_sdk.errors import OperationalError

__all__ = ["BLOCK", "ArchiveDamaged", "Budget", "ByteStream", "Meter", "Metered", "unpacked"]

BLOCK = 1024 * 1024
_FREE = 256 * 1024 * 1024  #: what any archive may unpack to
_RATIO = 250  #: and a larger one, as a multiple of its own size
_PACKED: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_BROKEN = (
    *(OSError, EOFError, ValueError, RuntimeError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
)


class ArchiveDamaged(OperationalError):
    """An archive ends too early, is broken inside, or unpacks to far more than is reasonable."""


class Meter:
    """How many bytes of an archive's own were read, for the progress bar."""

    def __init__(self) -> None:
        self.count = 0


class Metered:
    """A file that tells a meter what was read of it."""

    def __init__(self, file: Any, meter: Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        """As the file's own."""
        data: bytes = self._file.read(size)
        self._meter.count += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        """As the file's own."""
        data: bytes = self._file.read1(size)
        self._meter.count += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Budget:
    """How many bytes an archive may unpack to: a bomb ends here, whichever way it is built.

    Parameters
    ----------
    name : str
        The archive, for the message.
    packed : int
        Its own size in bytes.
    """

    def __init__(self, name: str, packed: int) -> None:
        self._name = name
        self._left = max(_FREE, _RATIO * packed)

    def spend(self, count: int) -> None:
        """Take note of unpacked bytes.

        Raises
        ------
        ArchiveDamaged
            When it is too much.
        """
        self._left -= count
        if self._left < 0:
            raise ArchiveDamaged(
                f"{self._name} unpacks to more than {_RATIO} times its size and is read no further",
                "If you trust it, unpack it yourself and name the folder",
            )


class ByteStream:
    """Bytes that come once, with a look ahead.

    Parameters
    ----------
    file
        Anything with ``read(size)``.
    name : str
        Where it lies, for messages.
    budget : Budget, optional
        Takes what is read, where the file is an unpacked one.
    """

    def __init__(self, file: Any, name: str, budget: Budget | None = None) -> None:
        # Where an unpacker fails in the middle of a large read, all of that read is lost.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self._name = name
        self._budget = budget
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, as many as there are up to this size; they are read again later."""
        while len(self._ahead) < size and (more := self._next(max(size, 8192))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises
        ------
        ArchiveDamaged
            When the archive is broken at this place, or unpacks to too much.
        """
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._next(size)

    def read_all(self, most: int) -> bytes | None:
        """What is left; None where it is more than this."""
        parts, held = [], 0
        while part := self.read(BLOCK):
            held += len(part)
            if held > most:
                return None
            parts.append(part)
        return b"".join(parts)

    def _next(self, size: int) -> bytes:
        try:
            data = self._read(size)
        except _BROKEN as error:
            raise ArchiveDamaged(
                f"{self._name} cannot be read further ({error})",
                "What came before was taken; get a whole copy for the rest",
            ) from error
        if self._budget is not None:
            self._budget.spend(len(data))
        return data


def unpacked(stream: ByteStream, name: str, budget: Budget) -> ByteStream | None:
    """The bytes behind gzip, bzip2 or xz; None where the stream is none of them."""
    head = stream.peek(6)
    for magic, opened in _PACKED.items():
        if head.startswith(magic):
            return ByteStream(opened(_Readable(stream)), name, budget)
    return None


class _Readable:
    """A stream as the file that the standard library's unpackers ask for."""

    closed = False

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size if size >= 0 else BLOCK)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """The stream's owner does."""
