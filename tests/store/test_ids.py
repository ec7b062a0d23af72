"""Ids assigned by the client: in blocks, growing, never twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kolibri_sdk.store import Store, ids


def test_a_block_grows_and_the_next_one_follows(store: Store) -> None:
    with store.write() as tx:
        assert ids.take(tx, "message", 3) == [1, 2, 3]
        assert ids.take(tx, "message", 2) == [4, 5]
        assert ids.take(tx, "outbox", 1) == [1]


def test_nothing_taken_nothing_used(store: Store) -> None:
    with store.write() as tx:
        assert ids.take(tx, "message", 0) == []
        assert ids.take(tx, "message", 1) == [1]


@pytest.mark.parametrize("name", ids.SEQUENCES)
def test_every_sequence_is_there(store: Store, name: str) -> None:
    with store.write() as tx:
        assert ids.take(tx, name, 1) == [1]


def test_a_rolled_back_block_is_never_given_to_two(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        ids.take(tx, "message", 5)
        raise RuntimeError
    with store.write() as tx:
        assert ids.take(tx, "message", 1) in ([1], [6])  # SQLite takes it back, PostgreSQL skips


def test_two_takers_never_overlap(store: Store, second: Store) -> None:
    def take(opened: Store) -> list[int]:
        taken = []
        for _ in range(30):
            with opened.write() as tx:
                taken += ids.take(tx, "message", 7)
        return taken

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(take, [store, second])
    assert len({*one, *other}) == len(one) + len(other) == 420
    assert one == sorted(one)


def test_a_taker_does_not_wait_for_anothers_commit(on_postgresql: Store, second: Store) -> None:
    with on_postgresql.write() as tx, second.write() as other:
        assert set(ids.take(tx, "message", 2)).isdisjoint(ids.take(other, "message", 2))
