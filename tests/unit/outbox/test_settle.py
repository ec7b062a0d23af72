"""What becomes of a mail: each recipient's fate, the next try, the end (S2, S13)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kolibri_sdk import clock
from kolibri_sdk.errors import (
    PermanentSendError,
    SendError,
    TemporarySendError,
    UncertainSendError,
)
from kolibri_sdk.model.outbox import Delivery, OutboxState, RecipientResult
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox import (
    MOST_ATTEMPTS,
    enqueue,
    find_uncertain,
    open_recipients,
    owner,
    settle,
    settle_error,
)
from kolibri_sdk.store import Store, activity, outbox
from tests.unit.outbox.conftest import BOB, EVE, SEVEN, items, request

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
BOTH = ("bob@example.org", "eve@example.net")


@pytest.fixture
def queued(store: Store) -> OutboxItem:
    with store.write() as tx:
        enqueue(tx, request(BOB, EVE))
    (item,) = items(store)
    return item


def _claim(store: Store, number: int, by: str = "") -> None:
    with store.write() as tx:
        assert outbox.claim(tx, number, by or owner())


def _row(store: Store) -> dict[str, Any]:
    with store.read() as tx:
        (row,) = outbox.select(tx)
    return row


def _stream(store: Store) -> list[tuple[str, str]]:
    with store.read() as tx:
        return [(entry["kind"], entry["text"]) for entry in activity.select(tx, SEVEN)]


def said(*statuses: str) -> Delivery:
    codes = {"accepted": 250, "temporary": 451, "permanent": 550}
    return Delivery(
        tuple(
            RecipientResult(address, status, codes[status], f"{status} indeed")
            for address, status in zip(BOTH, statuses, strict=True)
        )
    )


def _settle(store: Store, item: OutboxItem, delivery: Delivery) -> OutboxState | None:
    _claim(store, item.id)
    with store.write() as tx:
        return settle(tx, item, delivery)


@pytest.mark.parametrize(
    ("statuses", "state", "message", "entry"),
    [
        (("accepted", "accepted"), "sent", "sent", "mail_sent"),
        (("accepted", "permanent"), "sent", "sent", "mail_sent"),
        (("permanent", "permanent"), "failed", "unsent", "mail_failed"),
    ],
)
def test_the_end_of_a_mail(
    store: Store,
    queued: OutboxItem,
    statuses: Sequence[str],
    state: str,
    message: str,
    entry: str,
) -> None:
    assert _settle(store, queued, said(*statuses)) == state
    row = _row(store)
    assert row["state"] == state
    assert {a: r["status"] for a, r in row["results"].items()} == dict(
        zip(BOTH, statuses, strict=True)
    )
    assert ("eve@example.net: 550 permanent indeed" in row["error"]) is (statuses[1] == "permanent")
    ((kind, text),) = _stream(store)
    assert kind == entry
    assert text.startswith("To bob@example.org, eve@example.net")
    with store.read() as tx:
        from kolibri_sdk.store import messages

        assert messages.get(tx, queued.message).state == message


@pytest.mark.parametrize("other", ["accepted", "permanent", "temporary"])
def test_who_is_refused_for_the_moment_is_tried_again_alone(
    store: Store, queued: OutboxItem, other: str
) -> None:
    with clock.fixed(MOMENT):
        assert _settle(store, queued, said(other, "temporary")) is OutboxState.QUEUED
    row = _row(store)
    assert timedelta(seconds=48) <= row["due_at"] - MOMENT <= timedelta(seconds=72)
    (again,) = items(store)
    assert open_recipients(again) == (BOTH[1:] if other != "temporary" else BOTH)
    assert _stream(store) == []  # it has no fate yet
    last = Delivery((RecipientResult(BOTH[1], "accepted", 250, "ok"),))
    if other == "accepted":
        assert _settle(store, again, last) is OutboxState.SENT
        assert open_recipients(items_of(store)) == ()


def items_of(store: Store) -> OutboxItem:
    """The only mail, whatever its state."""
    with store.write() as tx:
        outbox.save(tx, _row(store)["id"], state="queued")
    return items(store)[0]


@pytest.mark.parametrize(
    ("error", "state", "entry"),
    [
        (TemporarySendError("busy", code=451), "queued", None),
        (PermanentSendError("no", code=550), "failed", "mail_failed"),
        (UncertainSendError("line lost"), "uncertain", "mail_uncertain"),
        (SendError("odd"), "queued", None),
    ],
)
def test_sending_failed_as_a_whole(
    store: Store, queued: OutboxItem, error: SendError, state: str, entry: str | None
) -> None:
    _claim(store, queued.id)
    with store.write() as tx:
        assert settle_error(tx, queued, error) == state
    assert _row(store)["state"] == state
    assert str(error) in _row(store)["error"]
    assert [kind for kind, _ in _stream(store)] == ([entry] if entry else [])


def test_the_waits_grow_and_end(store: Store, queued: OutboxItem) -> None:
    waits = []
    for tries in range(1, MOST_ATTEMPTS + 1):
        (item,) = items(store)
        assert item.attempts == tries - 1
        _claim(store, item.id)
        with clock.fixed(MOMENT), store.write() as tx:
            state = settle_error(tx, item, TemporarySendError("busy"))
        if state is OutboxState.QUEUED:
            waits.append((_row(store)["due_at"] - MOMENT) / timedelta(minutes=1))
    assert len(waits) == MOST_ATTEMPTS - 1
    for wait, ideal in zip(waits, [1, 2, 4, 8, 16, 32, 64, 128, 240, 240, 240], strict=True):
        assert 0.8 * ideal <= wait <= 1.2 * ideal
    assert _row(store)["state"] == "failed"
    assert _row(store)["error"].startswith("gave up after 12 tries; last: busy")
    assert [kind for kind, _ in _stream(store)] == ["mail_failed"]


def test_giving_up_on_one_of_two_is_still_sent(store: Store, queued: OutboxItem) -> None:
    _settle(store, queued, said("accepted", "temporary"))
    for _ in range(MOST_ATTEMPTS - 1):
        (item,) = items(store)
        _claim(store, item.id)
        with store.write() as tx:
            state = settle_error(tx, item, TemporarySendError("busy"))
    assert state is OutboxState.SENT
    assert "gave up" in _row(store)["error"]


def test_nothing_is_settled_twice(store: Store, queued: OutboxItem) -> None:
    assert _settle(store, queued, said("accepted", "accepted")) is OutboxState.SENT
    with store.write() as tx:
        assert settle(tx, queued, said("permanent", "permanent")) is None
        assert settle_error(tx, queued, TemporarySendError("late")) is None
    assert _row(store)["state"] == "sent"
    assert len(_stream(store)) == 1


def _uncertain(store: Store) -> list[int]:
    with store.write() as tx:
        return [item.id for item, _ in find_uncertain(tx)]


def test_what_a_living_sender_has_in_hand_is_left_to_it(store: Store, queued: OutboxItem) -> None:
    _claim(store, queued.id)
    assert _uncertain(store) == []
    with clock.fixed(clock.now() + timedelta(minutes=14)):
        assert _uncertain(store) == []
    with clock.fixed(clock.now() + timedelta(minutes=16)):
        assert _uncertain(store) == [queued.id]


def test_what_a_dead_sender_had_in_hand_is_uncertain(store: Store, queued: OutboxItem) -> None:
    code = "from kolibri_sdk.outbox import owner; print(owner())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dead = told.stdout.strip()
    assert dead != owner()
    _claim(store, queued.id, dead)
    assert _uncertain(store) == [queued.id]
    assert _row(store)["state"] == "uncertain"
    assert "it may have arrived" in _row(store)["error"]
    assert [kind for kind, _ in _stream(store)] == ["mail_uncertain"]
    assert _uncertain(store) == []


def test_another_process_with_our_number_is_not_us(store: Store, queued: OutboxItem) -> None:
    host, number, started = owner().rsplit(":", 2)
    assert int(number) == os.getpid()
    _claim(store, queued.id, f"{host}:{number}:{int(started) - 1_000}")
    assert _uncertain(store) == [queued.id]


def test_a_clock_that_is_set_makes_no_living_sender_a_dead_one(
    store: Store, queued: OutboxItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    _claim(store, queued.id)
    # psutil tells the start by the clock, which a clock that is set moves.
    monkeypatch.setattr("psutil.Process.create_time", lambda _: 1_000_000_001.0)
    assert _uncertain(store) == []


def test_a_sender_on_another_machine_has_its_time(store: Store, queued: OutboxItem) -> None:
    _claim(store, queued.id, "elsewhere:1:1")
    assert _uncertain(store) == []
    with clock.fixed(clock.now() + timedelta(minutes=16)):
        assert _uncertain(store) == [queued.id]
