"""The token of a message reference: which record, when, and a signature nobody can forge (S12).

A token is base32 text (RFC 4648 section 6, lower case, no padding) of

===========  ========  =====================================================
bytes        length    what
===========  ========  =====================================================
key id       1         which secret signed it (keys rotate)
issue time   4         seconds since 1970; among several tokens the newest wins
random       5         makes two mails of one second differ
entity       3         the first bytes of SHA-256 of the entity's name
record key   1 to 60   the key as text, or as a number in as few bytes as it takes
signature    16        HMAC-SHA256 (RFC 2104) of all of the above, cut to 128 bits
===========  ========  =====================================================

It is short enough for the local part of an address (RFC 5321 section 4.5.3.1.1: 64 octets), and
survives software that changes the case of addresses.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey

__all__ = ["TAG_LENGTH", "Token", "mint", "subject_tag", "verify"]

_HEAD = 1 + 4 + 5 + 3
_SIGNATURE = 16
_LONGEST_KEY = 60
TAG_LENGTH = 10  #: base32 characters of a subject tag: 50 bits of its HMAC


@dataclass(frozen=True, slots=True)
class Token:
    """A token whose signature is right."""

    record: RecordKey
    issued_at: int  #: seconds since 1970


def mint(record: RecordKey, key_id: int, secret: bytes) -> str:
    """A new token for this record.

    Raises
    ------
    ValueError
        When the record's key is longer than 60 bytes.

    Examples
    --------
    >>> token = mint(RecordKey(entity="incident", key="7"), 1, b"secret")
    >>> verify(token, {1: b"secret"}, ["incident"]).record.key
    '7'
    """
    body = (
        key_id.to_bytes(1, "big")
        + int(clock.now().timestamp()).to_bytes(4, "big")
        + secrets.token_bytes(5)
        + _entity_hash(record.entity)
        + _packed(record.key)
    )
    return base64.b32encode(body + _sign(body, secret)).decode().rstrip("=").lower()


def verify(token: str, keys: Mapping[int, bytes], entities: Iterable[str]) -> Token | None:
    """What the token says, or None where its signature or its form is wrong."""
    data = _decoded(token)
    if data is None or len(data) <= _HEAD + _SIGNATURE:
        return None
    body, signature = data[:-_SIGNATURE], data[-_SIGNATURE:]
    secret = keys.get(body[0])
    if secret is None or not hmac.compare_digest(_sign(body, secret), signature):
        return None
    entity = next((name for name in entities if _entity_hash(name) == body[10:13]), None)
    key = _unpacked(body[_HEAD:])
    if entity is None or key is None:
        return None
    return Token(RecordKey(entity=entity, key=key), int.from_bytes(body[1:5], "big"))


def subject_tag(record: RecordKey, secret: bytes) -> str:
    """The short signature of a record for the subject line: 50 bits, so a sender must be known.

    Examples
    --------
    >>> len(subject_tag(RecordKey(entity="incident", key="7"), b"secret"))
    10
    """
    digest = _sign(b"subject\0" + record.entity.encode() + b"\0" + record.key.encode(), secret)
    return base64.b32encode(digest).decode().lower()[:TAG_LENGTH]


def _sign(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"kolibri reference 1\0" + body, "sha256")[:_SIGNATURE]


def _entity_hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:3]


def _packed(key: str) -> bytes:
    """A number as its big-endian bytes behind a 0, other text as UTF-8 behind a 1."""
    if key.isascii() and key.isdigit() and str(int(key)) == key:
        number = int(key)
        packed = b"\0" + number.to_bytes((number.bit_length() + 7) // 8, "big")
    else:
        packed = b"\1" + key.encode()
    if len(packed) > _LONGEST_KEY:
        raise ValueError(f"The record key {key!r} is too long for a message reference")
    return packed


def _unpacked(packed: bytes) -> str | None:
    if packed[0] == 0:
        return str(int.from_bytes(packed[1:], "big"))
    try:
        return packed[1:].decode() if packed[0] == 1 else None
    except UnicodeDecodeError:
        return None


def _decoded(token: str) -> bytes | None:
    text = token.upper()
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return None
    # The last character has spare bits: only one spelling of a token counts.
    same = base64.b32encode(data).decode().rstrip("=") == text
    return data if same else None
