"""Bytes: stored once, compressed where that helps, whole when they come back."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest
import sqlalchemy as sa

from kolibri_sdk.errors import NotFound
from kolibri_sdk.store import Store, blobs
from tests.store.conftest import count

CONTENTS = [
    b"",
    b"\0",
    b"short",
    b"a" * 128,
    b"a" * 129,
    os.urandom(10_000),
    b"Received: from mail.example.org\r\n" * 5_000,
]


@pytest.mark.parametrize("data", CONTENTS, ids=lambda data: f"{len(data)} bytes")
def test_bytes_come_back(store: Store, data: bytes) -> None:
    with store.write() as tx:
        (name,) = blobs.put(tx, [data])
    assert name == sha256(data).hexdigest()
    with store.read() as tx:
        assert blobs.get(tx, [name]) == {name: data}


def test_the_same_bytes_are_stored_once(store: Store) -> None:
    with store.write() as tx:
        assert len(set(blobs.put(tx, [b"logo", b"other", b"logo"]))) == 2
    with store.write() as tx:
        names = blobs.put(tx, [b"logo", b"third"])
        assert count(tx, "kolibri_blob") == 3
        assert blobs.get(tx, names) == {names[0]: b"logo", names[1]: b"third"}


def test_compression_only_where_it_helps(store: Store) -> None:
    text, noise = CONTENTS[-1], CONTENTS[-2]
    with store.write() as tx:
        blobs.put(tx, [text, noise])
        rows = tx.execute(sa.text("select size, codec, length(data) as kept from kolibri_blob"))
        by_size = {row.size: (row.codec, row.kept) for row in rows}
    assert by_size[len(noise)] == ("raw", len(noise))
    codec, kept = by_size[len(text)]
    assert codec == "zstd"
    assert kept < len(text) / 10


def test_missing_bytes_are_named(store: Store) -> None:
    with store.read() as tx, pytest.raises(NotFound, match="abc are not in the database"):
        blobs.get(tx, ["abc"])


def test_more_names_than_fit_into_one_question(store: Store) -> None:
    contents = [str(n).encode() for n in range(1_200)]
    with store.write() as tx:
        names = blobs.put(tx, contents)
        assert blobs.put(tx, contents) == names
        assert list(map(blobs.get(tx, names).__getitem__, names)) == contents


def test_two_pollers_store_the_same_bytes_at_once(on_postgresql: Store, second: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            (name,) = blobs.put(tx, [b"logo"])

            def store_too() -> list[str]:
                with second.write() as other:
                    return blobs.put(other, [b"logo"])

            waiting = threads.submit(store_too)
        assert waiting.result(timeout=10) == [name]
    with second.read() as tx:
        assert count(tx, "kolibri_blob") == 1
