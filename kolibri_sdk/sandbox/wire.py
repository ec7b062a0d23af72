"""How the two processes talk: frames of bytes, each led by its length."""

from __future__ import annotations

import struct

__all__ = ["HEADER_SIZE", "frame", "length"]

_HEADER = struct.Struct(">Q")
HEADER_SIZE = _HEADER.size


def frame(body: str) -> bytes:
    r"""The text as UTF-8, led by its length.

    Examples
    --------
    >>> frame("ab")
    b'\x00\x00\x00\x00\x00\x00\x00\x02ab'
    """
    encoded = body.encode()
    return _HEADER.pack(len(encoded)) + encoded


def length(header: bytes) -> int:
    """The length of the body that follows this header, in bytes."""
    size: int = _HEADER.unpack(header)[0]
    return size
