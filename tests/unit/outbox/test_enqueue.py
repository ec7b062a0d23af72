"""Queueing: a row per language, the reference minted, caps held (S8, S12)."""

from __future__ import annotations

import pytest

from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.message import Direction, MessageState
from kolibri_sdk.outbox import Dropped, MailRequest, Queued, Resolved, enqueue
from kolibri_sdk.store import Store, messages
from tests.unit.outbox.conftest import ANNA, BOB, EVE, SEVEN, SUPPORT, items, request


def _enqueue(store: Store, asked: MailRequest) -> Queued:
    with store.write() as tx:
        return enqueue(tx, asked)


def test_people_who_share_a_language_share_a_mail(store: Store) -> None:
    queued = _enqueue(store, request(ANNA, BOB, EVE))
    assert (len(queued.items), queued.held, queued.dropped) == (2, 0, ())
    german, english = items(store)
    assert german.recipients == ("anna@example.org",)
    assert german.request["language"] == "de"
    assert english.recipients == ("bob@example.org", "eve@example.net")
    assert english.request["language"] == "en"  # French is not there: the mailbox's language
    assert german.cause == "message:1/rule:vpn/0/de"


def test_only_a_mail_to_one_person_knows_the_user(store: Store) -> None:
    _enqueue(store, request(ANNA, BOB, EVE))
    german, english = items(store)
    assert german.request["context"]["user"] == {
        "id": "anna",
        "name": "Anna",
        "address": "anna@example.org",
        "language": "de-AT",
    }
    assert english.request["context"]["user"] is None


def test_a_stranger_is_known_by_address(store: Store) -> None:
    _enqueue(store, request(EVE))
    (item,) = items(store)
    assert item.request["context"]["user"]["id"] is None
    assert item.request["context"]["user"]["address"] == "eve@example.net"


def test_the_mail_stands_in_the_central_table_at_once(store: Store) -> None:
    _enqueue(store, request(BOB))
    (item,) = items(store)
    with store.read() as tx:
        mail = messages.get(tx, item.message)
    assert (mail.direction, mail.state) == (Direction.OUT, MessageState.QUEUED)
    assert (mail.record, mail.message_id) == (SEVEN, item.message_id)
    assert [p.address for p in mail.to] == ["bob@example.org"]
    assert item.message_id.startswith("kr1.")
    assert item.request["carriers"]["number"] == "INC-000007"


def test_a_mail_about_no_record(store: Store) -> None:
    _enqueue(store, request(BOB, entity=None, record_key=None, record={}))
    (item,) = items(store)
    assert item.record is None
    assert item.message_id.endswith("@kolibri.example")
    assert not item.message_id.startswith("kr1.")


def test_the_same_cause_is_queued_once(store: Store) -> None:
    assert len(_enqueue(store, request(BOB)).items) == 1
    assert _enqueue(store, request(BOB)).items == ()
    assert len(_enqueue(store, request(BOB, cause="event:2/rule:x")).items) == 1
    with store.read() as tx:
        assert len(messages.select(tx, columns=["id"])) == 2


def test_an_answer_has_the_null_return_path(store: Store) -> None:
    _enqueue(store, request(BOB))
    (item,) = items(store)
    assert item.sender == SUPPORT.address
    with store.write() as tx:
        enqueue(tx, request(BOB, cause="message:2", answers=item.message))
    assert items(store)[1].sender == ""


def test_nobody_left(store: Store) -> None:
    dropped = (Dropped("support@kolibri.example", "is our own mailbox support"),)
    asked = request()
    asked = MailRequest(
        mailbox=asked.mailbox,
        template=asked.template,
        to=Resolved((), dropped),
        cause="x",
        context={},
    )
    assert _enqueue(store, asked) == Queued((), 0, dropped)
    assert items(store) == []


def test_a_mailbox_that_cannot_send(store: Store) -> None:
    mute = SUPPORT.model_copy(update={"outbound": None, "file": "rules/mailboxes/support.yaml"})
    with pytest.raises(ActionError, match=r"support has no outbound.*rules/mailboxes/support.yaml"):
        _enqueue(store, request(BOB, mailbox=mute))
