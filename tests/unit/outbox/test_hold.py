"""Held mails are released or cancelled by a person, one by one or all together."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.message import Address
from kolibri_sdk.outbox import Provoked, cancel, enqueue, release
from kolibri_sdk.outbox.recipients import Person
from kolibri_sdk.store import Store, activity, messages, outbox
from tests.unit.outbox.conftest import EVE, SEVEN, request


@pytest.fixture
def held(store: Store) -> list[int]:
    """Three mails that are held, and one that is queued before them."""
    numbers: list[int] = []
    with store.write() as tx:
        enqueue(tx, request(EVE, cause="event:1"))
        for number in range(2, 5):
            provoked = Provoked(number, "eve@example.net", True, None, "", 0)
            asked = request(EVE, cause=f"message:{number}", provoked=provoked)
            numbers += enqueue(tx, asked).items
    return numbers


def states(store: Store) -> list[tuple[str, str, str]]:
    """State of each mail in the outbox, why, and its state among the messages."""
    with store.read() as tx:
        rows = outbox.select(tx)
        return [(r["state"], r["error"], messages.get(tx, r["message"]).state.value) for r in rows]


def test_what_is_released_goes_out(store: Store, held: Sequence[int]) -> None:
    assert {state for state, _, _ in states(store)} == {"queued", "held"}
    with store.write() as tx:
        assert outbox.held(tx) == held
        assert release(tx, held[:2]) == 2
    assert states(store)[:3] == [("queued", "", "queued")] * 3
    assert states(store)[3][0] == "held"
    with store.read() as tx:
        assert len(outbox.due(tx, 10)) == 3


def test_what_is_cancelled_never_does(store: Store, held: Sequence[int]) -> None:
    with store.write() as tx:
        assert cancel(tx, held, "anna") == 3
        assert outbox.held(tx) == []
        entries = activity.select(tx, SEVEN)
    assert states(store)[1:] == [("cancelled", "cancelled by anna", "unsent")] * 3
    assert [(e["kind"], e["author"]) for e in entries] == [("mail_cancelled", "anna")] * 3
    assert entries[0]["text"] == "To eve@example.net: cancelled by anna"


def test_a_queued_mail_can_be_cancelled_and_counts_no_more(store: Store) -> None:
    numbers = []
    with store.write() as tx:
        for number in range(2):
            provoked = Provoked(number, "eve@example.net", False, None, "", 0)
            asked = request(EVE, cause=f"message:{number}", provoked=provoked)
            numbers += enqueue(tx, asked).items
        cancel(tx, numbers, "anna")
        provoked = Provoked(9, "eve@example.net", False, None, "", 0)
        assert enqueue(tx, request(EVE, cause="message:9", provoked=provoked)).held == 0


def test_what_somebody_has_got_already_counts_as_sent(store: Store) -> None:
    with store.write() as tx:
        (number,) = enqueue(
            tx, request(EVE, Person(Address("ada@example.net")), cause="event:1")
        ).items
        got = {EVE.address.address: {"status": "accepted", "code": 250, "text": "fine"}}
        outbox.save(tx, number, results=got)
        assert cancel(tx, [number], "anna") == 1
        entries = activity.select(tx, SEVEN)
    told = "cancelled by anna for ada@example.net"
    assert states(store) == [("sent", told, "sent")]
    assert entries[0]["text"] == "To ada@example.net: cancelled by anna"


def test_of_uncertain_mail_the_next_step_is_told(store: Store, held: Sequence[int]) -> None:
    with store.write() as tx:
        outbox.save(tx, held[0], state="uncertain")
        with pytest.raises(ConfigurationError, match=rf"outbox confirm {held[0]}.*retry {held[0]}"):
            cancel(tx, held[:1], "anna")


def test_what_is_not_held_cannot_be_released(store: Store, held: Sequence[int]) -> None:
    queued = held[0] - 1
    with (
        store.write() as tx,
        pytest.raises(ConfigurationError, match=f"mail {queued} is queued and cannot be released"),
    ):
        release(tx, [queued, *held])
    assert [state for state, _, _ in states(store)] == ["queued", "held", "held", "held"]
    with store.write() as tx:
        outbox.claim(tx, queued, "somebody")
        with pytest.raises(ConfigurationError, match="is being sent just now and cannot be"):
            cancel(tx, [queued], "anna")


def test_a_number_that_there_is_not(store: Store, held: Sequence[int]) -> None:
    with store.write() as tx:
        for do in (release, lambda tx, numbers: cancel(tx, numbers, "anna")):
            with pytest.raises(NotFound, match="no outbox mail 98, 99"):
                do(tx, [99, held[0], 98])


def test_mails_of_one_mailbox(store: Store, held: Sequence[int]) -> None:
    with store.read() as tx:
        assert outbox.held(tx, "support") == held
        assert outbox.held(tx, "sales") == []
