"""A bounce that arrives while the same mail is being sent to others: neither result is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from kolibri_sdk.model.message import BounceReport
from kolibri_sdk.model.outbox import Delivery, OutboxState, RecipientResult
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.outbox import open_recipients, owner, settle
from kolibri_sdk.store import Store, outbox
from tests.store.conftest import MOMENT

ANNA, BOB = "anna@example.org", "bob@example.org"
ACCEPTED = {"status": "accepted", "code": 250, "answer": "ok"}
BOUNCED = {"status": "bounced", "code": "5.1.1", "answer": "nobody here", "message": 9}
CODES = {"accepted": 250, "temporary": 451, "permanent": 550}


@pytest.fixture
def sending(store: Store) -> OutboxItem:
    """Anna's server took the mail in the first try; the second one, for Bob, is under way."""
    item = OutboxItem(
        id=1,
        message=101,
        mailbox="support",
        state=OutboxState.QUEUED,
        recipients=(ANNA, BOB),
        cause="message:1/rule:vpn/0/de",
        message_id="1@example.org",
        sender="",
        request={},
        results={ANNA: ACCEPTED},
        record=None,
    )
    with store.write() as tx:
        outbox.insert(tx, item, MOMENT)
        assert outbox.claim(tx, 1, owner())
    return item


def said(status: str) -> Delivery:
    return Delivery((RecipientResult(BOB, status, CODES[status], "said so"),))


def row(store: Store) -> dict[str, Any]:
    with store.read() as tx:
        (found,) = outbox.select(tx)
    return found


def statuses(store: Store) -> list[str]:
    results = row(store)["results"]
    return [results[address]["status"] for address in (ANNA, BOB)]


@pytest.mark.parametrize("fate", ["bounced", "delayed"])
@pytest.mark.parametrize("status", ["accepted", "temporary", "permanent"])
def test_what_the_sender_writes_leaves_the_bounce_in_place(
    store: Store, sending: OutboxItem, fate: str, status: str
) -> None:
    with store.write() as tx:  # the bounce, read by another pass
        told = {**sending.results, ANNA: {**BOUNCED, "status": fate}}
        outbox.note_bounce(tx, sending, told, state=OutboxState.SENDING, error="came back")

    with store.write() as tx:
        state = settle(tx, sending, said(status))

    assert statuses(store) == [fate, status]
    arrives = status == "accepted" or (fate == "delayed" and status == "permanent")
    ends = {"temporary": "queued"}.get(status, "sent" if arrives else "failed")
    assert state == ends
    if status == "temporary":
        with store.write() as tx:
            (again,) = outbox.of_ids(tx, [1])
        assert open_recipients(again) == (BOB,), "Anna is not tried again"


def test_a_bounce_of_the_very_try_that_is_not_settled_yet_stays(
    store: Store, sending: OutboxItem
) -> None:
    with store.write() as tx:
        told = {**sending.results, BOB: BOUNCED}
        outbox.note_bounce(tx, sending, told, state=OutboxState.SENDING, error="came back")
    with store.write() as tx:
        settle(tx, sending, said("accepted"))
    assert statuses(store) == ["accepted", "bounced"]


def test_a_bounce_read_while_the_sender_writes_waits_for_it(
    store: Store, second: Store, sending: OutboxItem
) -> None:
    from kolibri_sdk.outbox.bounces import _settle

    begun = Event()
    report = BounceReport(ANNA, "5.1.1", "failed", "nobody here")

    class Bounce:
        id, received_at = 9, MOMENT

    def bounce() -> None:
        begun.set()
        with second.write() as tx:
            (item,) = outbox.of_message_ids(tx, ["1@example.org"])
            _settle(tx, item, {ANNA: report}, Bounce())  # type: ignore[arg-type]

    with ThreadPoolExecutor(1) as threads:
        with store.write() as tx:
            settle(tx, sending, said("accepted"))
            waiting = threads.submit(bounce)
            begun.wait()
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)  # it may wait longer; it must not read and overwrite
        waiting.result(timeout=20)
    assert statuses(store) == ["bounced", "accepted"]
    assert row(store)["state"] == "sent"
