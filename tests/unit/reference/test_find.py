"""Finding the record that a mail belongs to, and how sure that is (S12, S23)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.message import Address, Authentication, BounceReport, MessageKind
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.reference import Carriers, find_references
from kolibri_sdk.reference.carriers import plus_address, tagged_subject
from kolibri_sdk.reference.find import MOST_FORGED
from kolibri_sdk.reference.token import mint
from kolibri_sdk.store import keys, messages
from tests.unit.reference.conftest import EIGHT, EVE, OWN, SEVEN, SUPPORT, Desk, message

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
    found = desk.find(text="kr1:abc", subject="[x y]", references=("kr1.abc@x", "", "<>"))
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


def forgeries(number: int) -> list[str]:
    """Texts that look like tokens."""
    return ["a" * 50 + f"{n:05}".translate(str.maketrans("0189", "abcd")) for n in range(number)]


def test_a_mail_of_forgeries_costs_no_more_than_another(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.mint()
    asked: list[str] = []

    def counted(token: str, *others: object) -> None:
        asked.append(token)

    monkeypatch.setattr("kolibri_sdk.reference.find.verify", counted)
    names = tuple(f"kr1.{token}@kolibri.example" for token in forgeries(2_000))
    assert desk.find(references=names).forged == 50
    assert desk.find(text="\n".join(f"kr1:{token}" for token in forgeries(2_000))).foreign == 50
    assert desk.find(subject="[INC-000001 aaaaaaaaaa] " * 2_000).forged == 1
    assert len(desk.find(subject=" ".join(f"INC-{n:06}" for n in range(2_000))).suggestions) <= 10
    assert len(asked) < 1_000


def test_only_a_reference_that_claims_to_be_ours_is_a_forgery(desk: Desk) -> None:
    """A customer who runs such a desk, too, answers with tokens of that one."""
    token = forgeries(1)[0]
    for values in (
        {"references": (f"kr1.{token}@desk.customer.example",)},
        {"to": (Address(f"help+{token}@customer.example"),)},
        {"text": f"kr1:{token}"},
    ):
        found = desk.find(**values)
        assert (found.hit, found.forged, found.foreign) == (None, 0, 1)
    for values in (
        {"references": (f"kr1.{token}@KOLIBRI.example",)},
        {"to": (Address(f"Support+{token}@kolibri.example"),)},
    ):
        found = desk.find(**values)
        assert (found.hit, found.forged, found.foreign) == (None, 1, 0)


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
            OWN,
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


def test_a_stranger_who_names_a_mail_of_ours_is_a_stranger_still(desk: Desk) -> None:
    carriers = desk.mint()
    with desk.store.write() as tx:
        tx.execute(sa.text("delete from kolibri_reference_key"))
    found = desk.find(sender=EVE, references=(carriers.message_id,))
    assert found.hit == ReferenceHit(SEVEN, Grade.STRANGER, "references")


def test_a_bounce_belongs_to_the_record_of_the_mail_that_it_returns(desk: Desk) -> None:
    carriers = desk.mint()
    daemon = Address("MAILER-DAEMON@mx.example")
    found = desk.find(
        sender=daemon,
        kind=MessageKind.BOUNCE,
        bounces=(BounceReport("anna@example.org", original_message_id=carriers.message_id),),
        subject=f"Undelivered: INC-000002 {carriers.tag}",
        text=carriers.marker,
    )
    assert found.hit == ReferenceHit(SEVEN, Grade.HEADER, "references")
    assert found.suggestions == ()


def test_our_own_address_as_sender_knows_no_record(desk: Desk) -> None:
    """Everybody can write it; and the desk would be known to every record."""
    carriers = desk.mint()
    desk.mint(to=Address("support@kolibri.example"))
    for who in ("support@kolibri.example", "SUPPORT@kolibri.example"):
        found = desk.find(sender=Address(who), **carried(carriers, "to"))
        assert found.hit is not None
        assert found.hit.grade is Grade.STRANGER
        assert desk.find(sender=Address(who), subject=carriers.subject("x")).hit is None


def test_among_records_the_one_that_knows_the_sender_comes_first(desk: Desk) -> None:
    """Anna answers about hers, and quotes a newer mail about somebody else's."""
    with clock.fixed(MOMENT):
        hers = desk.mint(SEVEN)
    with clock.fixed(MOMENT + timedelta(hours=1)):
        toms = desk.mint(EIGHT, to=Address("tom@example.org"))
    found = desk.find(**carried(hers, "to"), text=toms.marker)
    assert found.hit is not None
    assert (found.record, found.hit.grade) == (SEVEN, Grade.SIGNED)


def test_a_revoked_key_proves_nothing(desk: Desk) -> None:
    carriers = desk.mint()
    with desk.store.write() as tx:
        keys.revoke(tx, 1)
    for place in set(PLACES) - {"in_reply_to", "references"}:
        assert desk.find(**carried(carriers, place)).hit is None, place
    assert desk.find(subject=carriers.subject("x")).hit is None
    leaked = token_of_key(desk, 1)
    assert desk.find(references=(f"kr1.{leaked}@kolibri.example",)).hit is None
    # We remember that we sent this very mail: its id still leads to the record.
    found = desk.find(in_reply_to=(carriers.message_id,))
    assert found.hit == ReferenceHit(SEVEN, Grade.HEADER, "references")


def token_of_key(desk: Desk, number: int) -> str:
    """What somebody who has stolen this key can sign."""
    with desk.store.read() as tx:
        query = sa.text("select secret from kolibri_reference_key where id = :id")
        secret = bytes(tx.execute(query, {"id": number}).scalar_one())
    return mint(EIGHT, number, secret)


@pytest.mark.parametrize("place", ["in_reply_to", "references", "html", "subject"])
def test_what_a_forward_carries_is_only_a_suggestion(desk: Desk, place: str) -> None:
    carriers = desk.mint()
    values = {} if place == "subject" else carried(carriers, place)
    for subject in ("Fwd: {}", "WG: AW: {}", "[EXT] FW: {}", "[Fwd: {}]", "{} (fwd)", "TR : {}"):
        told = subject.format(carriers.subject("Printer") if place == "subject" else "Printer")
        found = desk.find(subject=told, **values)
        assert found.hit is None, told
        assert found.suggestions == (
            ReferenceHit(SEVEN, Grade.WEAK, "forward", found.suggestions[0].issued_at),
        )


def test_a_forward_to_the_address_of_the_record_is_meant_for_it(desk: Desk) -> None:
    carriers = desk.mint()
    found = desk.find(subject="Fwd: the log", **carried(carriers, "to"))
    assert found.hit is not None
    assert (found.record, found.hit.grade) == (SEVEN, Grade.SIGNED)


@pytest.mark.parametrize(
    "subject", ["Re: Fwd: {}", "AW: WG: {}", "{}", "Re: {}", "Trouble: {}", "Foreword: {}"]
)
def test_a_reply_is_no_forward(desk: Desk, subject: str) -> None:
    carriers = desk.mint()
    told = subject.format("Printer")
    assert desk.find(subject=told, **carried(carriers, "html")).record == SEVEN


def test_an_automatic_mail_is_no_forward(desk: Desk) -> None:
    carriers = desk.mint()
    values = carried(carriers, "references")
    found = desk.find(subject="Fwd: away", kind=MessageKind.AUTO_REPLY, **values)
    assert found.record == SEVEN


def test_an_answer_to_a_mail_that_came_in_is_a_suggestion(desk: Desk) -> None:
    """Anna's colleague answers what Anna wrote to us; anybody may know the id of Anna's mail."""
    entered(desk, 1, "annas@example.org", SEVEN)
    found = desk.find(sender=EVE, in_reply_to=("annas@example.org",))
    assert found.hit is None
    assert found.suggestions == (ReferenceHit(SEVEN, Grade.WEAK, "thread"),)


def test_ids_that_people_share_join_nobody(desk: Desk) -> None:
    entered(desk, 1, "same@mailer", SEVEN)
    entered(desk, 2, "same@mailer", EIGHT, "tom@example.org")
    entered(desk, 3, "", SEVEN)
    for names in (("same@mailer",), ("",), ("<>",), ()):
        found = desk.find(in_reply_to=names, references=names)
        assert (found.hit, found.suggestions) == (None, ()), names


def entered(
    desk: Desk, number: int, message_id: str, record: RecordKey, sender: str = "anna@example.org"
) -> None:
    """A mail that came in and belongs to a record."""
    with desk.store.write() as tx:
        messages.insert_outgoing(
            tx,
            number=number,
            mailbox="support",
            message_id=message_id,
            sender=Address(sender),
            to=[],
            record=record,
        )
        messages.save_outgoing(tx, number, direction="in", state="done", grade="created")


def test_who_forges_often_is_known_by_nobody_for_an_hour(desk: Desk) -> None:
    carriers = desk.mint()
    wrong = {"subject": "[INC-000001 aaaaaaaaaa]"}
    tagged = {"subject": carriers.subject("x")}
    mails = [message(**wrong) for _ in range(MOST_FORGED)]
    with desk.store.read() as tx:
        found = find_references(
            tx,
            desk.tables,
            [message(**tagged), *mails, message(**tagged), message(**carried(carriers, "to"))],
            OWN,
        )
    first, *_, by_tag, by_token = found
    assert first.record == SEVEN
    assert by_tag.hit is None, "fifty bits could be guessed by whoever may try often enough"
    assert [hit.record for hit in by_tag.suggestions] == [SEVEN]
    assert by_token.hit is not None, "a hundred and twenty-eight cannot; the mail is not lost"
    assert by_token.hit.grade is Grade.STRANGER
    with desk.store.write() as tx:
        messages.save_outgoing(tx, 1_001, forged=MOST_FORGED, from_address="ANNA@example.org")
    assert desk.find(**tagged).hit is None, "nor in the next pass"
    with clock.fixed(clock.now() + timedelta(minutes=61)):
        assert desk.find(**tagged).record == SEVEN


@pytest.mark.parametrize(("dmarc", "counts"), [("fail", False), ("pass", True), (None, True)])
def test_a_sender_whose_mail_fails_dmarc_is_nobody_we_know(
    desk: Desk, dmarc: str | None, counts: bool
) -> None:
    carriers = desk.mint()
    checked = Authentication("mx.kolibri.example", dmarc=dmarc)
    by_tag = desk.find(subject=carriers.subject("x"), authentication=checked)
    by_token = desk.find(authentication=checked, **carried(carriers, "to"))
    assert by_token.hit is not None
    if counts:
        assert by_tag.record == SEVEN
        assert by_token.hit.grade is Grade.SIGNED
    else:
        assert (by_tag.hit, [hit.record for hit in by_tag.suggestions]) == (None, [SEVEN])
        assert by_token.hit.grade is Grade.STRANGER
