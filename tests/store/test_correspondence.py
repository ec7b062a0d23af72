"""What mails say of records: ids that lead to one, people who took part, forgers (S23)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address, MessageKind, MessageState
from kolibri_sdk.store import Store, correspondence, messages
from kolibri_sdk.store.correspondence import Named
from tests.store.conftest import mail

Enter = Callable[..., list[int]]
RECORD = RecordKey(entity="incident", key="7")
OTHER = RecordKey(entity="incident", key="8")


def _send(store: Store, number: int, message_id: str, record: RecordKey | None, to: str) -> None:
    with store.write() as tx:
        messages.insert_outgoing(
            tx,
            number=number,
            mailbox="support",
            message_id=message_id,
            sender=Address("support@example.org"),
            to=[Address(to)],
            record=record,
        )


def _parse(store: Store, number: int, sender: str = "anna@example.org", **values: object) -> None:
    with store.write() as tx:
        parsed = mail(from_=(Address(sender),), **values)
        messages.claim_fetched(tx, 100, ["support"])
        messages.save_parsed(tx, {number: parsed})


def _tie(store: Store, number: int, record: RecordKey, grade: str) -> None:
    with store.write() as tx:
        messages.tie(tx, number, record, grade)


def _leads(store: Store, *names: str) -> dict[str, Named]:
    with store.read() as tx:
        return correspondence.of_message_ids(tx, names)


def test_message_ids_lead_to_the_records_of_their_mails(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"raw")
    _parse(store, number, message_id="theirs@x")
    _tie(store, number, RECORD, "created")
    _send(store, 100, "ours@x", OTHER, "anna@example.org")
    _send(store, 101, "free@x", None, "anna@example.org")
    assert _leads(store, "theirs@x", "ours@x", "free@x", "nobody@x", "") == {
        "theirs@x": Named(RECORD, ours=False),
        "ours@x": Named(OTHER, ours=True),
    }


def test_an_id_that_mails_of_two_people_share_leads_nowhere(store: Store, fetched: Enter) -> None:
    one, two, three = fetched(b"1", b"2", b"3")
    for number, sender in ((one, "anna@x"), (two, "anna@x"), (three, "eve@x")):
        _parse(store, number, sender, message_id="same@x")
    _tie(store, one, RECORD, "created")
    _tie(store, two, RECORD, "signed")
    assert _leads(store, "same@x") == {"same@x": Named(RECORD, ours=False)}
    _tie(store, three, RECORD, "signed")
    assert _leads(store, "same@x") == {}


def test_an_id_of_mails_of_two_records_leads_nowhere(store: Store, fetched: Enter) -> None:
    for number, record in zip(fetched(b"1", b"2"), (RECORD, OTHER), strict=True):
        _parse(store, number, message_id="same@x")
        _tie(store, number, record, "created")
    assert _leads(store, "same@x") == {}


def test_whoever_uses_an_id_of_ours_does_not_turn_it(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"1")
    _send(store, 100, "ours@x", RECORD, "anna@example.org")
    _parse(store, number, "eve@x", message_id="ours@x")
    _tie(store, number, OTHER, "created")
    assert _leads(store, "ours@x") == {"ours@x": Named(RECORD, ours=True)}


def test_correspondents_are_verified_people(store: Store, fetched: Enter) -> None:
    cases = [
        ("Anna@Example.org", "created", MessageKind.ORDINARY),
        ("eve@example.org", "stranger", MessageKind.ORDINARY),
        ("carl@example.org", "person", MessageKind.ORDINARY),
        ("mailer-daemon@example.org", "header", MessageKind.BOUNCE),
        ("support@example.org", "signed", MessageKind.OWN),
    ]
    numbers = fetched(*(sender.encode() for sender, _, _ in cases))
    for number, (sender, grade, kind) in zip(numbers, cases, strict=True):
        _parse(store, number, sender, kind=kind)
        _tie(store, number, RECORD, grade)
    _send(store, 100, "ours@x", RECORD, "Bob@example.org")
    _send(store, 101, "held@x", RECORD, "held@example.org")
    _send(store, 102, "unsent@x", RECORD, "unsent@example.org")
    with store.write() as tx:
        messages.save_outgoing(tx, 101, state=MessageState.HELD.value)
        messages.save_outgoing(tx, 102, state=MessageState.UNSENT.value)
    with store.read() as tx:
        assert correspondence.correspondents(tx, [RECORD, OTHER]) == {
            RECORD: {"anna@example.org", "bob@example.org", "carl@example.org"},
            OTHER: set(),
        }


def test_who_forged_in_the_last_hour(store: Store, fetched: Enter) -> None:
    for number, sender in zip(fetched(b"1", b"2", b"3"), ("Eve@x", "eve@X", "bob@x"), strict=True):
        _parse(store, number, sender)
        with store.write() as tx:
            item = messages.get(tx, number)
            assert messages.finish(tx, item, MessageState.DONE, forged=3)
    since = clock.now() - timedelta(hours=1)
    with store.read() as tx:
        assert correspondence.forged_since(tx, ["EVE@x", "anna@x"], since) == {"eve@x": 6}
        later = clock.now() + timedelta(seconds=1)
        assert correspondence.forged_since(tx, ["eve@x"], later) == Counter()
