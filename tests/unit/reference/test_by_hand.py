"""A person accepts, dismisses, attaches and takes away; streams say who, and no rule runs (S23)."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference import accept, attach, detach, dismiss
from kolibri_sdk.store import activity, messages, suggestions
from tests.unit.reference.conftest import EIGHT, EVE, SEVEN, Desk

NUMBER = 7


@pytest.fixture(autouse=True)
def mail(desk: Desk) -> None:
    """Message 7, from Eve, for which both incidents are suggested."""
    with desk.store.write() as tx:
        messages.insert_outgoing(
            tx,
            number=NUMBER,
            mailbox="support",
            message_id="eves@example.net",
            sender=EVE,
            to=[],
            record=None,
        )
        messages.save_outgoing(
            tx, NUMBER, direction="in", state="done", subject="INC-000001", reply_text="Look!"
        )
        hits = [ReferenceHit(one, Grade.WEAK, "number") for one in (SEVEN, EIGHT)]
        suggestions.add(tx, NUMBER, hits)


def now(desk: Desk) -> StoredMessage:
    with desk.store.read() as tx:
        return messages.get(tx, NUMBER)


def stream(desk: Desk, record: RecordKey) -> list[tuple[str, str, str]]:
    with desk.store.read() as tx:
        return [(e["kind"], e["author"], e["text"]) for e in activity.select(tx, record)]


def states(desk: Desk) -> dict[str, tuple[str, str]]:
    with desk.store.read() as tx:
        rows = suggestions.select(tx)
    return {row["record_key"]: (row["state"], row["decided_by"]) for row in rows}


def do(desk: Desk, what: Any, *arguments: Any) -> Any:
    with desk.store.write() as tx:
        return what(tx, *arguments)


def test_accepting_ties_the_mail_and_says_who_did(desk: Desk) -> None:
    assert do(desk, accept, desk.tables, NUMBER, SEVEN, "anna") == SEVEN
    assert (now(desk).record, now(desk).grade, now(desk).state) == (SEVEN, "person", "done")
    assert stream(desk, SEVEN) == [("mail_in", EVE.address, "Attached by anna. Look!")]
    assert stream(desk, EIGHT) == []
    assert states(desk) == {"1": ("accepted", "anna"), "2": ("dismissed", "anna")}
    (entry,) = do(desk, activity.select, SEVEN)
    assert (entry["message"], entry["cause"]) == (NUMBER, "person:anna suggestion")


def test_a_person_vouches_for_the_sender(desk: Desk) -> None:
    carriers = desk.mint(SEVEN)
    assert desk.find(sender=EVE, subject=carriers.subject("x")).hit is None
    do(desk, accept, desk.tables, NUMBER, SEVEN, "anna")
    assert desk.find(sender=EVE, subject=carriers.subject("x")).record == SEVEN


def test_of_several_one_has_to_be_named(desk: Desk) -> None:
    with pytest.raises(NotFound, match=r"Several records are suggested.*incident 1, incident 2"):
        do(desk, accept, desk.tables, NUMBER, None, "anna")
    do(desk, dismiss, NUMBER, EIGHT, "bob")
    assert do(desk, accept, desk.tables, NUMBER, None, "anna") == SEVEN
    assert states(desk)["2"] == ("dismissed", "bob"), "who dismissed it before is kept"


def test_what_is_not_suggested_cannot_be_accepted(desk: Desk) -> None:
    nine = RecordKey(entity="incident", key="9")
    with pytest.raises(NotFound, match="incident 9 is not suggested for message 7"):
        do(desk, accept, desk.tables, NUMBER, nine, "anna")
    with pytest.raises(NotFound, match="no message 8"):
        do(desk, accept, desk.tables, 8, None, "anna")
    do(desk, dismiss, NUMBER, None, "anna")
    with pytest.raises(NotFound, match="Nothing is suggested for message 7"):
        do(desk, dismiss, NUMBER, None, "anna")


def test_dismissing_is_kept_and_not_suggested_again(desk: Desk) -> None:
    assert do(desk, dismiss, NUMBER, None, "anna") == [SEVEN, EIGHT]
    assert states(desk) == {"1": ("dismissed", "anna"), "2": ("dismissed", "anna")}
    do(desk, suggestions.add, NUMBER, [ReferenceHit(SEVEN, Grade.WEAK, "number")])
    assert states(desk)["1"] == ("dismissed", "anna")
    assert do(desk, suggestions.count_open) == 0
    assert now(desk).record is None


def test_attaching_to_another_record_tells_both_streams(desk: Desk) -> None:
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    do(desk, attach, desk.tables, NUMBER, EIGHT, "bob")
    assert now(desk).record == EIGHT
    assert stream(desk, SEVEN)[1:] == [("detached", "bob", "Moved to incident 2 by bob.")]
    assert stream(desk, EIGHT) == [("mail_in", EVE.address, "Attached by bob. Look!")]


def test_attaching_twice_changes_nothing(desk: Desk) -> None:
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    before = stream(desk, SEVEN)
    do(desk, attach, desk.tables, NUMBER, SEVEN, "bob")
    assert stream(desk, SEVEN) == before


def test_a_strangers_mail_can_be_vouched_for_where_it_stands(desk: Desk) -> None:
    do(desk, messages.tie, NUMBER, SEVEN, "stranger")
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    assert now(desk).grade == "person"
    assert stream(desk, SEVEN) == [("verified", "anna", "Message 7 is vouched for by anna.")]


def test_detaching_marks_a_mail_as_no_reply(desk: Desk) -> None:
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    assert do(desk, detach, desk.tables, NUMBER, "bob") == SEVEN
    assert (now(desk).record, now(desk).grade) == (None, None)
    kind, author, text = stream(desk, SEVEN)[-1]
    assert (kind, author) == ("detached", "bob")
    assert text == "Message 7 was marked as no reply by bob: INC-000001"
    assert states(desk)["1"] == ("dismissed", "bob"), "it is not suggested again"
    carriers = desk.mint(SEVEN)
    assert desk.find(sender=EVE, subject=carriers.subject("x")).hit is None, "nor is she known"
    with pytest.raises(NotFound, match="Message 7 belongs to no record"):
        do(desk, detach, desk.tables, NUMBER, "bob")


def test_what_cannot_be_attached_is_told(desk: Desk) -> None:
    gone = RecordKey(entity="incident", key="99")
    with pytest.raises(NotFound, match="no record incident 99"):
        do(desk, attach, desk.tables, NUMBER, gone, "anna")
    with pytest.raises(NotFound, match="no entity 'problem'"):
        do(desk, attach, desk.tables, NUMBER, RecordKey(entity="problem", key="1"), "anna")
    desk.mint()
    with pytest.raises(ConfigurationError, match="Message 1001 went out from here"):
        do(desk, attach, desk.tables, 1_001, SEVEN, "anna")
    for state in ("fetched", "parsed"):
        with desk.store.write() as tx:
            tx.execute(sa.text("update kolibri_message set state = :s where id = 7"), {"s": state})
        with pytest.raises(ConfigurationError, match=r"its rules have not run yet.*kolibri poll"):
            do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")


def test_a_failed_mail_that_a_person_attaches_is_not_tried_again(desk: Desk) -> None:
    with desk.store.write() as tx:
        tx.execute(sa.text("update kolibri_message set state='failed', error='x' where id = 7"))
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    assert (now(desk).state, now(desk).record, now(desk).error) == ("done", SEVEN, "x")


def test_a_mail_from_nobody(desk: Desk) -> None:
    with desk.store.write() as tx:
        tx.execute(sa.text("update kolibri_message set from_address = null where id = 7"))
    do(desk, attach, desk.tables, NUMBER, SEVEN, "anna")
    assert stream(desk, SEVEN)[0][1] == ""
    assert desk.find(sender=Address(""), subject="x").hit is None
