"""S23: on arrival, first: a message reference leads to its record, and the mail into its stream."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Hashable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kolibri_sdk import clock
from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to

ANNAS, TOMS, EVES = "anna@customer.example", "tom@customer.example", "eve@elsewhere.example"


@pytest.fixture
def answered(desk: Desk) -> Desk:
    """A desk with one incident, Anna's, which was answered."""
    desk.receive(letter("VPN is down"))
    return desk


def last_mail(desk: Desk) -> Mapping[Hashable, Any]:
    """The row of the mail that came in last."""
    rows = desk.k.messages.frame(direction="in").to_dict("records")
    return rows[-1]


def test_the_reply_stands_in_the_stream_with_its_sender_and_only_what_is_new(
    answered: Desk,
) -> None:
    raw = answered.answer_to(ANNAS).raw

    answered.receive(reply_to(raw, "It works again.\n\nThank you!"))

    entry = answered.k.records["incident", 1].activity.frame().iloc[-1]
    assert (entry["kind"], entry["author"]) == ("mail_in", ANNAS)
    assert entry["text"] == "It works again.\n\nThank you!"
    assert answered.k.messages[entry["message"]].reply_text == entry["text"]
    assert str(answered.k.messages[entry["message"]].record) == "incident 1"
    assert len(answered.incidents()) == 1


@pytest.mark.parametrize("header", ["In-Reply-To", "References"])
def test_one_of_the_two_threading_headers_is_enough(answered: Desk, header: str) -> None:
    raw = reply_to(answered.answer_to(ANNAS).raw, carriers={"references"})
    other = {"In-Reply-To": b"References", "References": b"In-Reply-To"}[header]
    raw = re.sub(rb"(?mi)^" + other + rb":.*\r\n([ \t].*\r\n)*", b"", raw)
    assert other not in raw

    answered.receive(raw)

    row = last_mail(answered)
    assert (row["entity"], row["record_key"], row["grade"]) == ("incident", "1", "signed")


def test_a_reply_to_another_mailbox_finds_the_record_too(answered: Desk) -> None:
    sales = answered.dovecot.new_user("sales")
    answered.mailbox("sales", sales)
    reply = reply_to(answered.answer_to(ANNAS).raw, "Sorry, wrong address?")
    answered.dovecot.deliver(sales, reply)

    report = answered.healthy_poll()

    assert answered.stream()[-1] == ("mail_in", "Sorry, wrong address?")
    assert report.counts["records"] == 0


def test_the_subject_tag_alone_is_proof_from_somebody_known_to_the_record(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw

    answered.receive(reply_to(raw, "By subject.", carriers={"subject"}))

    assert last_mail(answered)["grade"] == "signed"
    assert answered.stream()[-1] == ("mail_in", "By subject.")


def test_the_subject_tag_alone_is_only_a_suggestion_from_a_stranger(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw

    report = answered.receive(reply_to(raw, "Let me in.", sender=EVES, carriers={"subject"}))

    assert "mail_in" not in [kind for kind, _ in answered.stream()]
    assert any("only a suggestion (subject), not attached" in line for line in report.refused)
    assert last_mail(answered)["grade"] == "created", "it became an incident of its own"
    assert last_mail(answered)["record_key"] == "2"


def test_a_bare_number_is_only_a_suggestion_whoever_writes_it(answered: Desk) -> None:
    report = answered.receive(letter("What about INC-000001?"))

    assert any("only a suggestion (number), not attached" in line for line in report.refused)
    assert "mail_in" not in [kind for kind, _ in answered.stream()]


def test_a_tag_of_another_record_is_no_proof_even_from_somebody_known(answered: Desk) -> None:
    answered.receive(letter("Printer", sender=TOMS))
    subject = answered.answer_to(TOMS).mail["Subject"]

    report = answered.receive(letter(subject.replace("INC-000002", "INC-000001")))

    assert any("wrong signature" in line for line in report.refused), report.refused
    assert "mail_in" not in [kind for kind, _ in answered.stream()]


def test_a_reply_to_a_closed_record_lands_in_it(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw
    answered.k.records["incident", 1].update(status="closed")
    answered.healthy_poll()

    answered.receive(reply_to(raw, "It is down again."))

    assert ("mail_in", "It is down again.") in answered.stream()
    assert len(answered.incidents()) == 1


def test_a_reply_to_a_merged_record_lands_in_the_surviving_one(desk: Desk) -> None:
    entity = desk.folder.root / "rules/entities/incident.yaml"
    entity.write_text(f"{entity.read_text()}  parent: text\nmerged_into: parent\n")
    desk.receive(letter("VPN is down"), letter("Printer", sender=TOMS))
    raw = desk.answer_to(TOMS).raw
    desk.k.records["incident", 2].update(parent="INC-000001")
    desk.healthy_poll()

    desk.receive(reply_to(raw, "It is the VPN, too.", sender=TOMS))

    assert ("mail_in", "It is the VPN, too.") in desk.stream(1)
    assert "mail_in" not in [kind for kind, _ in desk.stream(2)]
    assert last_mail(desk)["grade"] == "signed", "who is known to one is known to both"
    assert len(desk.incidents()) == 2


def test_a_forward_of_our_mail_is_a_request_of_its_own_and_suggests_the_record(
    answered: Desk,
) -> None:
    sent = answered.answer_to(ANNAS)
    quoted = f"---------- Forwarded message ----------\nFrom: {sent.mail['From']}\n"
    text = f"Another matter, see below.\n\n{quoted}Subject: {sent.mail['Subject']}\n\nText.\n"

    report = answered.receive(letter(f"Fwd: {sent.mail['Subject']}", text))

    assert "mail_in" not in [kind for kind, _ in answered.stream()]
    assert len(answered.incidents()) == 2
    assert any("incident 1 is only a suggestion" in line for line in report.refused)
    (suggested,) = answered.k.messages.suggestions().to_dict("records")
    assert (suggested["entity"], suggested["record_key"]) == ("incident", "1")


def flipped(token: str) -> str:
    """The token with one character in its middle changed."""
    middle = len(token) // 2
    return token[:middle] + ("a" if token[middle] != "a" else "b") + token[middle + 1 :]


def shortened(token: str) -> str:
    return token[:42]


@pytest.mark.parametrize("forge", [flipped, shortened])
def test_a_forged_token_is_not_attached_and_is_told(
    answered: Desk, forge: Callable[[str], str]
) -> None:
    mail = answered.answer_to(ANNAS)
    token = mail.mail["Message-ID"].removeprefix("<kr1.").partition("@")[0]
    carriers = {"references", "address", "body"}
    reply = reply_to(mail.raw, "Let me in.", carriers=carriers)
    forged = forge(token)

    report = answered.receive(unfolded(reply).replace(token.encode(), forged.encode()))

    assert last_mail(answered)["grade"] == "created"
    assert "mail_in" not in [kind for kind, _ in answered.stream()]
    assert any("with a wrong signature" in line for line in report.refused), report.refused


def unfolded(raw: bytes) -> bytes:
    """The mail with no token broken over two lines."""
    return raw.replace(b"=\r\n", b"")


def test_the_token_of_another_desk_is_not_attached(
    answered: Desk, new_desk: Callable[..., Desk]
) -> None:
    reply = reply_to(answered.answer_to(ANNAS).raw)
    other = new_desk()
    other.folder.use_shipped_rules()
    other.receive(letter("Here, too, there is an incident 1"))

    other.receive(reply)

    assert [kind for kind, _ in other.stream()] == ["created", "mail_sent"]


def test_a_stranger_with_a_signed_token_is_shown_as_unverified(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw

    answered.receive(reply_to(raw, "I am her colleague.", sender=EVES))

    assert last_mail(answered)["grade"] == "stranger"
    kind, text = answered.stream()[-1]
    assert kind == "mail_in"
    assert text.startswith("Unverified: the sender is new here.")
    assert text.endswith("I am her colleague.")


def test_a_stranger_does_not_become_known_by_having_written_once(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw
    answered.receive(reply_to(raw, "First.", sender=EVES))

    answered.receive(reply_to(raw, "Second.", sender=EVES))
    report = answered.receive(reply_to(raw, "Third.", sender=EVES, carriers={"subject"}))

    assert list(answered.k.messages.frame(direction="in")["grade"]) == [
        "created", "stranger", "stranger", "created",
    ]  # fmt: skip
    assert any("only a suggestion" in line for line in report.refused)


def test_a_reply_with_tokens_of_two_records_belongs_to_the_newer_mail(desk: Desk) -> None:
    morning = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
    with clock.fixed(morning):
        desk.receive(letter("VPN is down"))
    with clock.fixed(morning + timedelta(minutes=5)):
        desk.receive(letter("Printer"))
    older, newer = desk.sink.to(ANNAS)
    quoting_both = reply_to(
        newer.raw, "Both work.", carriers={"address"}, references=older.mail["Message-ID"]
    )

    desk.receive(quoting_both)

    assert last_mail(desk)["record_key"] == "2"


def test_a_reply_to_a_record_that_is_gone_is_a_new_mail(answered: Desk) -> None:
    with closing(sqlite3.connect(answered.folder.root / "kolibri.db")) as other:
        other.execute("UPDATE incident SET id = 77")
        other.commit()

    report = answered.receive(reply_to(answered.answer_to(ANNAS).raw))

    assert (report.counts["referenced"], report.counts["records"]) == (0, 1)


def test_an_out_of_office_note_lands_in_the_stream_and_gets_no_answer(answered: Desk) -> None:
    raw = answered.answer_to(ANNAS).raw
    note = reply_to(raw, "I am away until Monday.", auto_submitted="auto-replied")

    report = answered.receive(note)

    assert answered.stream()[-1] == ("mail_in", "I am away until Monday.")
    assert (report.counts["records"], report.counts["queued"]) == (0, 0)


def test_a_mail_without_reference_belongs_to_no_record_by_itself(bare_desk: Desk) -> None:
    bare_desk.folder.use_shipped_rules("entities")

    bare_desk.receive(letter("Re: VPN is down"))

    assert bare_desk.k.messages[1].record is None
