"""Content-Transfer-Encoding undone, as far as the damage allows (RFC 2045 section 6)."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

import pybase64

from kolibri_sdk.mail.defects import Defects

__all__ = ["from_base64", "from_uuencode", "undo"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN = bytes(sorted(set(range(256)) - set(_ALPHABET) - {ord("=")}))
_NOT_WHITE = bytes(sorted(set(range(256)) - set(b" \t\r\n")))
_PIECE = 1 << 20  # bytes
_TAIL = 200  # bytes that are looked at for the last line break
_MOST_BLOCKS = 1_000  # base64 texts one after the other in one part
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n|\Z)")  # blanks came on the way (RFC 2045 section 6.7)
_BEGIN = re.compile(rb"begin(?:-base64)? [0-7]{3,4} [^\r\n]*\r?\n")


def undo(data: memoryview, encoding: str, defects: Defects) -> bytes:
    """The bytes that were encoded.

    Parameters
    ----------
    data : memoryview
        A part's body as it came.
    encoding : str
        The value of its Content-Transfer-Encoding header.
    defects : Defects
        Takes what is wrong with it.
    """
    match _pure(encoding):
        case "base64":
            return from_base64(data, defects)
        case "quotedprintable":
            return binascii.a2b_qp(_SOFT_BREAK.sub(b"=", bytes(data)))
        case "xuuencode" | "uuencode" | "xuue" | "uue":
            return from_uuencode(bytes(data), defects)
        case "" | "7bit" | "8bit" | "8bits" | "binary":
            return bytes(data)
        case other:
            defects.note(f"unknown transfer encoding {other[:40]!r}")
            return bytes(data)


@lru_cache(maxsize=64)
def _pure(encoding: str) -> str:
    return _PUNCTUATION.sub("", encoding.lower())


def from_base64(data: bytes | memoryview, defects: Defects) -> bytes:
    r"""Base64 with foreign characters, missing padding, or several blocks one after the other.

    Examples
    --------
    >>> from_base64(b"SGFs\r\nbG8*", Defects())
    b'Hallo'
    """
    if (regular := _regular(data)) is not None:
        return regular
    data = bytes(data)
    if _is_clean(data):
        return binascii.a2b_base64(data)
    pure = data.translate(None, _FOREIGN)
    if len(pure) + len(data.translate(None, _NOT_WHITE)) != len(data):
        defects.note("characters in base64 that do not belong there")
    out = bytearray()
    *blocks, rest = re.split(b"=+", pure, maxsplit=_MOST_BLOCKS)
    for block in filter(None, (*blocks, rest.replace(b"=", b""))):
        if len(block) % 4 == 1:
            defects.note("base64 is cut off")
            block = block[:-1]  # noqa: PLW2901 - a lone character carries no byte
        out += binascii.a2b_base64(block + b"=" * (-len(block) % 4))
    return bytes(out)


def _regular(data: bytes | memoryview) -> bytes | None:
    """What an encoder wrote in lines of one length, as nearly all do: decoded ten times as fast.

    Without its line breaks it has to be base64 and nothing else; None where it is not.
    """
    pure = bytearray(data)
    tail = pure[-_TAIL:]
    del pure[len(pure) - len(tail) + len(tail.rstrip(b"\r\n")) :]
    width = pure.find(b"\n") + 1
    if width:
        if pure[width - 1 :: width].strip(b"\n"):
            return None
        del pure[width - 1 :: width]
        if pure[width - 2] == ord("\r"):
            if pure[width - 2 :: width - 1].strip(b"\r"):
                return None
            del pure[width - 2 :: width - 1]
    try:
        return pybase64.b64decode(pure, validate=True)
    except binascii.Error:
        return None


def _is_clean(data: bytes) -> bool:
    """Whether it is one block of whole groups and line breaks, which Python decodes as it stands.

    Looked at in pieces: a copy of a large attachment for each step is too much memory.
    """
    others = bytearray()
    for start in range(0, len(data), _PIECE):
        others += data[start : start + _PIECE].translate(None, _ALPHABET)
    breaks, padding = others.count(b"\n") + others.count(b"\r"), others.count(b"=")
    return (
        breaks + padding == len(others)
        and (len(data) - breaks) % 4 == 0
        and padding <= 2
        and data[-_TAIL:].rstrip(b"\r\n").endswith(b"=" * padding)
    )


def from_uuencode(data: bytes, defects: Defects) -> bytes:
    """The file within ``begin`` and ``end``; without a ``begin`` line, the data as they are."""
    begin = _BEGIN.search(data)
    if begin is None:
        defects.note("uuencode without a begin line")
        return data
    out = bytearray()
    for line in data[begin.end() :].splitlines():
        if line.strip() in (b"end", b"`", b""):
            break
        out += _uu_line(line, defects)
    return bytes(out)


def _uu_line(line: bytes, defects: Defects) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders count wrongly: take as many characters as the length byte asks for.
        wanted = (((line[0] - 32) & 63) * 4 + 5) // 3
        try:
            return binascii.a2b_uu(line[:wanted])
        except binascii.Error:
            defects.note("a broken line in uuencode")
            return b""
