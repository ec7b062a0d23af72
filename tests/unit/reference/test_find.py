"""Finding the record that a mail belongs to, and how sure that is (S12, S23)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.reference import Carriers, find_references
from kolibri_sdk.reference.carriers import plus_address, tagged_subject
from kolibri_sdk.store import keys
from tests.unit.reference.conftest import EIGHT, EVE, SEVEN, SUPPORT, Desk, message

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
PLACES = {
    "in_reply_to": "references",
    "references": "references",
    "to": "address",
    "cc": "address",
    "delivered-to": "address",
    "html": "body",
    "text": "body",
}


def carried(carriers: Carriers, place: str) -> dict[str, object]:
    """A mail that carries the reference in this place, and nowhere else."""
    assert carriers.reply_to is not None
    return {
        "in_reply_to": {"in_reply_to": (carriers.message_id,)},
        "references": {"references": ("root@x", carriers.message_id, "last@x")},
        "to": {"to": (Address("a@b"), Address(carriers.reply_to.upper()))},
        "cc": {"cc": (Address(carriers.reply_to),)},
        "delivered-to": {"headers": (("Delivered-To", carriers.reply_to),)},
        "html": {"html": f"<p>Thanks</p><blockquote>{carriers.marker}</blockquote>"},
        "text": {"text": "> " + carriers.marker.split(">")[1].split("<")[0]},
    }[place]


@pytest.mark.parametrize("place", PLACES)
def test_a_reference_is_found_wherever_it_is(desk: Desk, place: str) -> None:
    with clock.fixed(MOMENT):
        carriers = desk.mint()
    found = desk.find(**carried(carriers, place))
    issued = MOMENT.timestamp()
    assert found.hit == ReferenceHit(SEVEN, Grade.SIGNED, PLACES[place], issued)
    assert found.record == SEVEN
    assert (found.suggestions, found.forged) == ((), 0)


def test_a_mail_without_any_is_about_nothing(desk: Desk) -> None:
    desk.mint()
    found = desk.find(text="kr1:abc", subject="[x y]", references=("kr1.abc@x",))
    assert (found.hit, found.record, found.suggestions, found.forged) == (None, None, (), 0)


def test_a_stranger_with_a_token_is_told_apart(desk: Desk) -> None:
    carriers = desk.mint()
    found = desk.find(sender=EVE, **carried(carriers, "to"))
    assert found.hit is not None
    assert found.hit.grade is Grade.STRANGER
    assert desk.find(sender=None, **carried(carriers, "to")).hit == found.hit


def test_the_subject_tag_counts_from_somebody_known(desk: Desk) -> None:
    carriers = desk.mint()
    subject = "AW: " + carriers.subject("Printer")
    assert subject.startswith("AW: [INC-000001 ")
    assert desk.find(subject=subject).hit == ReferenceHit(SEVEN, Grade.SIGNED, "subject")
    assert desk.find(subject=subject.upper()).record == SEVEN
    strange = desk.find(subject=subject, sender=EVE)
    assert strange.hit is None
    assert strange.suggestions == (ReferenceHit(SEVEN, Grade.WEAK, "subject"),)


def test_a_wrong_tag_is_a_forgery_and_a_suggestion(desk: Desk) -> None:
    desk.mint()
    found = desk.find(subject="[INC-000001 aaaaaaaaaa] Printer")
    assert (found.hit, found.forged) == (None, 1)
    assert found.suggestions == (ReferenceHit(SEVEN, Grade.WEAK, "number"),)


def test_a_bare_number_is_only_a_suggestion(desk: Desk) -> None:
    found = desk.find(subject="Re: INC-000002, INC-000001 and INC-999999")
    assert found.hit is None
    assert {hit.record for hit in found.suggestions} == {SEVEN, EIGHT}
    assert {hit.grade for hit in found.suggestions} == {Grade.WEAK}
    assert not Grade.WEAK.attaches


def test_what_is_attached_is_no_suggestion_too(desk: Desk) -> None:
    carriers = desk.mint()
    found = desk.find(subject=carriers.subject("INC-000002"), **carried(carriers, "to"))
    assert found.record == SEVEN
    assert [hit.record for hit in found.suggestions] == [EIGHT]


def test_the_newest_token_wins(desk: Desk) -> None:
    """A forwarded conversation about one incident, quoted in a reply about another."""
    with clock.fixed(MOMENT):
        old, between = desk.mint(SEVEN), desk.mint(EIGHT)
    with clock.fixed(MOMENT + timedelta(hours=1)):
        new = desk.mint(SEVEN)
    markers = [one.marker.split(">")[1].split("<")[0] for one in (between, new, old)]
    found = desk.find(text="-- Forwarded --\n" + "\n> ".join(markers))
    assert found.record == SEVEN
    assert found.hit is not None
    assert found.hit.issued_at == (MOMENT + timedelta(hours=1)).timestamp()
    swapped = desk.find(**carried(between, "to"), references=(old.message_id,))
    assert swapped.record in {SEVEN, EIGHT}  # issued in the same second


def test_the_newest_of_a_very_long_thread_wins(desk: Desk) -> None:
    with clock.fixed(MOMENT):
        old = desk.mint(SEVEN)
    with clock.fixed(MOMENT + timedelta(hours=1)):
        new = desk.mint(EIGHT)
    found = desk.find(references=(*(old.message_id,) * 60, new.message_id))
    assert found.record == EIGHT


def test_a_mail_of_forgeries_costs_no_more_than_another(desk: Desk) -> None:
    desk.mint()
    token = "a" * 60
    assert 0 < desk.find(references=tuple(f"kr1.{token}@x{n}" for n in range(5_000))).forged <= 50
    assert desk.find(text=f"kr1:{token}\n" * 5_000).forged <= 50


def test_headers_lead_to_the_record_where_the_token_does_not(desk: Desk) -> None:
    """A Message-ID of ours whose token nobody can verify any more."""
    carriers = desk.mint()
    with desk.store.write() as tx:
        tx.execute(sa.text("delete from kolibri_reference_key"))
    found = desk.find(references=(carriers.message_id,))
    assert found.hit == ReferenceHit(SEVEN, Grade.HEADER, "references")


def test_a_rotated_key_keeps_old_mail_valid(desk: Desk) -> None:
    carriers = desk.mint()
    with desk.store.write() as tx:
        keys.rotate(tx)
    for place in PLACES:
        assert desk.find(**carried(carriers, place)).record == SEVEN
    assert desk.find(subject=carriers.subject("x")).record == SEVEN
    assert desk.mint().tag != carriers.tag


def test_a_record_that_is_gone_is_no_hit(desk: Desk) -> None:
    gone, there = desk.mint(SEVEN), desk.mint(EIGHT)
    with desk.store.write() as tx:
        tx.execute(sa.text("delete from incident where id = 1"))
    for place in PLACES:
        assert desk.find(**carried(gone, place)).hit is None
    assert desk.find(subject=gone.subject("x")).hit is None
    both = desk.find(**carried(gone, "to"), references=(there.message_id,))
    assert both.record == EIGHT


def test_a_token_of_another_installation_is_none_of_ours(desk: Desk) -> None:
    carriers = desk.mint()
    with desk.store.write() as tx:
        tx.execute(sa.text("update kolibri_reference_key set secret = zeroblob(32)"))
        tx.execute(sa.text("delete from kolibri_message"))
    found = desk.find(**carried(carriers, "to"))
    assert (found.hit, found.forged) == (None, 1)


def test_each_mail_of_a_batch_gets_its_own(desk: Desk) -> None:
    seven, eight = desk.mint(SEVEN), desk.mint(EIGHT)
    with desk.store.read() as tx:
        found = find_references(
            tx,
            desk.tables,
            [
                message(**carried(eight, "to")),
                message(),
                message(sender=EVE, **carried(seven, "html")),
            ],
        )
    assert [one.record for one in found] == [EIGHT, None, SEVEN]


def test_a_mailbox_without_plus_addresses(desk: Desk) -> None:
    plain = SUPPORT.model_copy(update={"plus_addressing": False})
    assert desk.mint(mailbox=plain).reply_to is None


def test_a_plus_address_fits_into_64_octets() -> None:
    token = "a" * 56
    assert plus_address(token, SUPPORT) == f"support+{token}@kolibri.example"
    assert plus_address(token + "a", SUPPORT) is None


def test_a_subject_is_tagged_once() -> None:
    once = tagged_subject("Printer", "INC-000001", "abcdefghij")
    assert tagged_subject("Re: " + once, "INC-000001", "abcdefghij") == "Re: " + once


def test_a_record_without_a_number_has_no_tag(desk: Desk) -> None:
    carriers = dataclasses.replace(desk.mint(), number="", tag="")
    assert carriers.subject("Printer") == "Printer"


def test_a_record_with_a_very_long_key_is_found_by_its_headers(desk: Desk) -> None:
    """No token has room for such a key; the Message-ID, which we remember, is reference enough."""
    paper = RecordKey(entity="paper", key="x" * 100)
    desk.tables.entities["paper"] = Entity(name="paper", table="paper", key="code")
    with desk.store.write() as tx:
        tx.execute(sa.text("create table paper (code text primary key)"))
        tx.execute(sa.text("insert into paper values (:key)"), {"key": paper.key})
    carriers = desk.mint(paper)
    assert (carriers.reply_to, carriers.marker, carriers.tag) == (None, "", "")
    found = desk.find(in_reply_to=(carriers.message_id,))
    assert found.hit == ReferenceHit(paper, Grade.HEADER, "references")
