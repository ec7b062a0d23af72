"""The text within an S/MIME part that is signed and not encrypted (RFC 8551 section 3.5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["is_smime", "signed_content"]

_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2 (RFC 5652 section 5.1)
_DEEPEST = 30  # values within each other

_INTEGER, _OCTETS, _SEQUENCE, _SET = 0x02, 0x04, 0x30, 0x31
_CONSTRUCTED, _EXPLICIT_0 = 0x20, 0xA0


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in BER (X.690): what it is, and where its contents lie."""

    tag: int
    start: int
    end: int
    behind: int


def is_smime(content_type: str, name: str) -> bool:
    """Whether a part is an S/MIME message; a detached signature (``.p7s``) is none."""
    return content_type in _TYPES or name.lower().endswith(".p7m")


def signed_content(data: bytes) -> bytes | None:
    """The MIME part that was signed; None where the data are encrypted, or no S/MIME at all.

    Whether the signature is right is not looked at.
    """
    try:
        outer = list(_values(data, _value(data, 0)))
        if data[outer[0].start : outer[0].end] != _SIGNED_DATA or outer[1].tag != _EXPLICIT_0:
            return None
        signed = next(_values(data, outer[1]))
        for value in _values(data, signed):
            if value.tag == _SEQUENCE:  # the first: behind the version and a set of algorithms
                content = list(_values(data, value))[1]
                return b"".join(_octets(data, next(_values(data, content))))
            if value.tag not in (_INTEGER, _SET):
                return None
    except (IndexError, StopIteration, ValueError):
        pass
    return None


def _value(data: bytes, start: int, depth: int = 0) -> _Value:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    tag, length, position = data[start], data[start + 1], start + 2
    if length == 0x80:  # ends with two zero bytes
        end = position
        while data[end : end + 2] != b"\x00\x00":
            end = _value(data, end, depth + 1).behind
        return _Value(tag, position, end, end + 2)
    if length > 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[position : position + size], "big")
        position += size
    if position + length > len(data):
        raise ValueError("cut off")
    return _Value(tag, position, position + length, position + length)


def _values(data: bytes, outer: _Value) -> Iterator[_Value]:
    position = outer.start
    while position < outer.end:
        value = _value(data, position)
        yield value
        position = value.behind


def _octets(data: bytes, value: _Value, depth: int = 0) -> Iterator[bytes]:
    """A string of octets, which may come in pieces."""
    if value.tag == _OCTETS:
        yield data[value.start : value.end]
    elif value.tag == _OCTETS | _CONSTRUCTED and depth <= _DEEPEST:
        for piece in _values(data, value):
            yield from _octets(data, piece, depth + 1)
