"""The outbox's rows: one mail per cause, one sender per mail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.store import Store, outbox
from tests.store.conftest import MOMENT

RECORD = RecordKey(entity="incident", key="7")


def item(number: int = 1, **values: Any) -> OutboxItem:
    given = {
        "message": 100 + number,
        "mailbox": "support",
        "state": OutboxState.QUEUED,
        "recipients": ("anna@example.org", "Bob@example.org"),
        "cause": f"message:{number}/rule:vpn/0/de",
        "message_id": f"{number}@example.org",
        "sender": "support@example.org",
        "request": {"template": "hello", "to": [{"address": "ä@b"}]},
        "record": RECORD,
        **values,
    }
    return OutboxItem(id=number, **given)


def _insert(store: Store, *items: OutboxItem) -> list[bool]:
    with store.write() as tx:
        return [outbox.insert(tx, one, MOMENT) for one in items]


def _due(store: Store, **options: Any) -> list[int]:
    with store.read() as tx:
        return [one.id for one in outbox.due(tx, 100, **options)]


def test_a_mail_comes_back_as_it_went_in(store: Store) -> None:
    assert _insert(store, item()) == [True]
    with store.read() as tx:
        (found,) = outbox.due(tx, 10)
    assert found == item(due_at=MOMENT)


def test_the_same_cause_never_sends_twice(store: Store) -> None:
    assert _insert(store, item(1), item(2, cause=item(1).cause)) == [True, False]
    assert _due(store) == [1]


def test_of_two_with_one_cause_at_once_one_is_queued(on_postgresql: Store, second: Store) -> None:
    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            assert outbox.insert(tx, item(1), MOMENT)
            waiting = threads.submit(_insert, second, item(2, cause=item(1).cause))
        assert waiting.result(timeout=10) == [False]


def test_what_is_due(store: Store) -> None:
    _insert(store, item(1), item(2, mailbox="sales"), item(3, state=OutboxState.HELD))
    with store.write() as tx:
        outbox.insert(tx, item(4), clock.now() + timedelta(hours=1))
        outbox.insert(tx, item(5), MOMENT - timedelta(hours=1))
        outbox.save(tx, 1, blob="abc")
    assert _due(store) == [5, 1, 2]
    assert _due(store, mailbox="sales") == [2]
    assert _due(store, rendered=True) == [1]
    assert _due(store, rendered=False) == [5, 2]


def test_one_of_two_senders_gets_the_mail(store: Store, second: Store) -> None:
    _insert(store, *(item(n) for n in range(20)))

    def claim(opened: Store) -> list[int]:
        mine = []
        for number in range(20):
            with opened.write() as tx:
                if outbox.claim(tx, number, opened.url):
                    mine.append(number)
        return mine

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(claim, [store, second])
    assert sorted([*one, *other]) == list(range(20))
    assert _due(store) == []


def test_of_two_that_claim_at_once_one_waits_and_loses(on_postgresql: Store, second: Store) -> None:
    _insert(on_postgresql, item(1))

    def claim() -> bool:
        with second.write() as other:
            return outbox.claim(other, 1, "two")

    with ThreadPoolExecutor(1) as threads:
        with on_postgresql.write() as tx:
            assert outbox.claim(tx, 1, "one")
            waiting = threads.submit(claim)
        assert waiting.result(timeout=10) is False
    with second.read() as tx:
        ((found, owner, _),) = outbox.claims(tx)
    assert (found.state, found.attempts, owner) == (OutboxState.SENDING, 1, "one")


def test_a_claimed_mail_is_settled_once(store: Store) -> None:
    _insert(store, item(1))
    with store.write() as tx:
        assert not outbox.settle(tx, item(1), OutboxState.SENT)  # nobody has claimed it
        outbox.claim(tx, 1, "one")
        results = {"anna@example.org": {"status": "accepted", "code": 250, "answer": "ok"}}
        assert outbox.settle(tx, item(1), OutboxState.SENT, results=results)
        assert not outbox.settle(tx, item(1), OutboxState.FAILED, error="late")
        assert outbox.claims(tx) == []
        (row,) = outbox.select(tx)
    assert (row["state"], row["error"], row["results"]) == ("sent", "", results)
    assert row["sent_at"] is not None
    assert row["claimed_by"] is None


def test_a_mail_that_is_tried_again_waits(store: Store) -> None:
    _insert(store, item(1))
    with store.write() as tx:
        outbox.claim(tx, 1, "one")
        later = clock.now() + timedelta(minutes=1)
        assert outbox.settle(tx, item(1), OutboxState.QUEUED, error="busy", due_at=later)
    assert _due(store) == []
    with clock.fixed(later):
        assert _due(store) == [1]
