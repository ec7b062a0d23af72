"""Bytes by their SHA-256: stored once, compressed with zstd where that helps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import zstandard

from kolibri_sdk.errors import NotFound
from kolibri_sdk.store.dialect import query_in_chunks, upsert
from kolibri_sdk.store.schema import blob

__all__ = ["content_hash", "forget", "get", "get_whole", "is_whole", "put", "put_named"]

_SMALL = 128


def content_hash(data: bytes) -> str:
    """SHA-256 in hexadecimal, the name of these bytes."""
    return hashlib.sha256(data).hexdigest()


def put(tx: sa.Connection, contents: Iterable[bytes]) -> list[str]:
    """Store these bytes where they are not stored yet; their names, in order."""
    by_name: dict[str, bytes] = {}
    names = []
    for data in contents:
        name = content_hash(data)
        names.append(name)
        by_name[name] = data
    put_named(tx, by_name)
    return names


def put_named(tx: sa.Connection, by_name: Mapping[str, bytes]) -> None:
    """Like `put`, of bytes whose SHA-256 is known."""
    if by_name:
        known = _known(tx, list(by_name))
        compressor = zstandard.ZstdCompressor(level=1)
        rows = [_row(n, d, compressor) for n, d in by_name.items() if n not in known]
        if rows:
            # Another poller may store the same bytes at the same moment.
            tx.execute(upsert(tx, blob).on_conflict_do_nothing(), rows)


def _known(tx: sa.Connection, names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for chunk in query_in_chunks(names):
        found.update(tx.scalars(sa.select(blob.c.sha256).where(blob.c.sha256.in_(chunk))))
    return found


def _row(name: str, data: bytes, compressor: zstandard.ZstdCompressor) -> dict[str, Any]:
    packed = compressor.compress(data) if len(data) > _SMALL else data
    smaller = len(packed) < len(data)
    return {
        "sha256": name,
        "size": len(data),
        "codec": "zstd" if smaller else "raw",
        "data": packed if smaller else data,
    }


def get(tx: sa.Connection, names: Iterable[str]) -> dict[str, bytes]:
    """The bytes of these names.

    Raises
    ------
    NotFound
        When one of them is not stored, or not as it was.
    """
    wanted = set(names)
    found = get_whole(tx, wanted)
    for name in wanted - found.keys():
        raise NotFound(
            f"The bytes {name} are not in the database, or damaged",
            "`kolibri reconcile --repair` fetches them again while the server has them; else "
            "restore them from a backup",
        )
    return found


def get_whole(tx: sa.Connection, names: Iterable[str]) -> dict[str, bytes]:
    """The bytes of those names that are there and are what their name says; others are left out."""
    found: dict[str, bytes] = {}
    unpack = zstandard.ZstdDecompressor()
    for chunk in query_in_chunks(set(names)):
        for row in tx.execute(sa.select(blob).where(blob.c.sha256.in_(chunk))):
            data = _unpacked(row, unpack)
            if data is not None and content_hash(data) == row.sha256:
                found[row.sha256] = data
    return found


def _unpacked(row: Any, unpack: zstandard.ZstdDecompressor) -> bytes | None:
    if row.codec != "zstd":
        return bytes(row.data)
    try:
        return unpack.decompress(row.data, max_output_size=row.size)
    except zstandard.ZstdError:
        return None


def forget(tx: sa.Connection, name: str) -> None:
    """Take away bytes that are not what they should be, so that they can be stored anew."""
    tx.execute(sa.delete(blob).where(blob.c.sha256 == name))


def is_whole(tx: sa.Connection, name: str) -> bool:
    """Whether these bytes are there, and are what their name says."""
    return name in get_whole(tx, [name])
