"""Leases: one poller at a time works on a mailbox; a dead one's lease passes on."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from kolibri_sdk.store import Store, leases, worker
from kolibri_sdk.store.dialect import database_now
from kolibri_sdk.store.schema import mailbox_state

ELSEWHERE = "mail2.4026531836:4711:88:1"  # a process of another machine


def take(store: Store, holder: str, mailbox: str = "support") -> str | None:
    with store.write() as tx:
        return leases.take(tx, mailbox, holder)


def shift(store: Store, by: timedelta) -> None:
    """Let the lease run out that much later."""
    with store.write() as tx:
        now = database_now(tx)
        tx.execute(sa.update(mailbox_state).values(lease_until=now + by))


def test_one_holder_at_a_time_and_each_mailbox_by_itself(store: Store) -> None:
    assert take(store, "a") is None
    assert take(store, "a") is None, "taking it again is renewing it"
    assert take(store, "b") == "a"
    assert take(store, "b", "sales") is None
    with store.write() as tx:
        leases.release(tx, "support", "b")
    assert take(store, "b") == "a", "only its holder gives it back"
    with store.write() as tx:
        leases.release(tx, "support", "a")
    assert take(store, "b") is None


def test_a_holder_that_is_silent_loses_it(store: Store) -> None:
    assert take(store, ELSEWHERE) is None
    shift(store, timedelta(seconds=1))
    assert take(store, "b") == ELSEWHERE
    with store.write() as tx:
        assert leases.renew(tx, "support", ELSEWHERE)
    shift(store, timedelta(seconds=-1))
    assert take(store, "b") is None
    with store.write() as tx:
        assert not leases.renew(tx, "support", ELSEWHERE), "and learns of it"
        assert leases.renew(tx, "support", "b")


def test_a_clock_that_was_set_back_keeps_nobody_waiting(store: Store) -> None:
    assert take(store, ELSEWHERE) is None
    shift(store, timedelta(days=1))
    assert take(store, "b") is None


def test_a_process_of_this_machine_that_has_ended_holds_nothing(store: Store) -> None:
    program = "from kolibri_sdk.store import worker; print(worker.identity())"
    ran = [sys.executable, "-c", program]
    dead = subprocess.run(ran, capture_output=True, text=True, check=True).stdout.strip()
    assert worker.is_alive(dead) is False
    assert worker.is_alive(worker.identity()) is True
    assert worker.is_alive(ELSEWHERE) is None
    recycled = worker.identity().rpartition(":")[0] + ":1"
    assert worker.is_alive(recycled) is False, "its number belongs to another process now"

    assert take(store, f"{dead}:1") is None
    mine, other = worker.begin(), worker.begin()
    assert take(store, mine) is None
    assert take(store, other) == mine, "two threads are two pollers"
    worker.end(mine)
    assert take(store, other) is None, "though it could not be given back"


def test_of_many_that_come_at_once_one_gets_it(store: Store, second: Store) -> None:
    def try_it(number: int) -> bool:
        opened = store if number % 2 else second
        return take(opened, f"{ELSEWHERE}:{number}", "new") is None

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(try_it, range(24))) == 1


def test_a_holder_that_works_in_a_transaction_keeps_others_out_until_it_ends(
    store: Store, second: Store
) -> None:
    """The fence: whoever takes the lease over sees everything that the former holder wrote."""
    assert take(store, ELSEWHERE) is None
    shift(store, timedelta(seconds=-1))
    with ThreadPoolExecutor(1) as threads:
        with store.write() as tx:
            assert leases.renew(tx, "support", ELSEWHERE)
            waiting = threads.submit(take, second, "b")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        assert waiting.result(timeout=10) == ELSEWHERE
