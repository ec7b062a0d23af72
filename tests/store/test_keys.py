"""The secrets of message references: one signs, all verify."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from kolibri_sdk.errors import NotFound, StoreError
from kolibri_sdk.store import Store, keys


def test_the_first_key_is_made_when_it_is_needed(store: Store) -> None:
    with store.write() as tx:
        assert keys.everything(tx) == {}
        number, secret = keys.current(tx)
        assert (number, len(secret)) == (1, 32)
        assert keys.current(tx) == (number, secret)
        assert keys.everything(tx) == {1: secret}


def test_a_retired_key_still_verifies(store: Store) -> None:
    with store.write() as tx:
        _, old = keys.current(tx)
        assert keys.rotate(tx) == 2
        number, new = keys.current(tx)
        assert number == 2
        assert new != old
        assert keys.everything(tx) == {1: old, 2: new}


def test_a_revoked_key_verifies_nothing_and_never_signs_again(store: Store) -> None:
    with store.write() as tx:
        keys.current(tx)
        keys.rotate(tx)
        assert keys.revoke(tx, 1) == 2
        assert list(keys.everything(tx)) == [2]
        assert keys.revoke(tx, 2) == 3, "the key that signed is replaced at once"
        assert list(keys.everything(tx)) == [3]
        revoked_at = keys.select(tx)[0]["revoked_at"]
        assert keys.revoke(tx, 1) == 3
        assert keys.select(tx)[0]["revoked_at"] == revoked_at


def test_keys_are_shown_without_their_secrets(store: Store) -> None:
    with store.write() as tx:
        assert keys.select(tx) == []
        keys.current(tx)
        keys.rotate(tx)
        keys.revoke(tx, 1)
        rows = keys.select(tx)
    assert [(row["id"], row["state"]) for row in rows] == [(1, "revoked"), (2, "signs")]
    assert not any("secret" in row for row in rows)


def test_a_key_that_there_is_not_cannot_be_revoked(store: Store) -> None:
    with store.write() as tx:
        keys.current(tx)
        with pytest.raises(NotFound, match="no reference key '7'"):
            keys.revoke(tx, 7)


def test_the_token_has_room_for_255_keys(store: Store) -> None:
    with store.write() as tx:
        for _ in range(keys.MOST_KEYS):
            keys.rotate(tx)
        with pytest.raises(StoreError, match="All 255 reference keys are used up"):
            keys.rotate(tx)


def test_two_that_need_the_first_key_at_once(store: Store, second: Store) -> None:
    def current(opened: Store) -> tuple[int, bytes]:
        with opened.write() as tx:
            return keys.current(tx)

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(current, [store, second])
    assert one == other


def test_two_in_open_transactions_agree_on_the_first_key(
    on_postgresql: Store, second: Store
) -> None:
    def current() -> tuple[int, bytes]:
        with second.write() as other:
            return keys.current(other)

    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            mine = keys.current(tx)
            waiting = threads.submit(current)
        assert waiting.result(timeout=10) == mine


def test_two_that_rotate_at_once_each_make_a_key_and_one_signs(
    on_postgresql: Store, second: Store
) -> None:
    def rotate() -> int:
        with second.write() as other:
            return keys.rotate(other)

    with on_postgresql.write() as tx:
        first, _ = keys.current(tx)
    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            mine = keys.rotate(tx)
            waiting = threads.submit(rotate)
            with suppress(TimeoutError):  # time enough to be in each other's way
                waiting.result(timeout=0.5)
        theirs = waiting.result(timeout=10)
    assert (mine, theirs) == (first + 1, first + 2)
    with second.read() as tx:
        assert [row["id"] for row in keys.select(tx) if row["state"] == "signs"] == [theirs]
