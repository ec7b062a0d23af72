"""S22: KolibriMessage mirrors a mailbox, with all mail in and out."""

from __future__ import annotations

from tests.acceptance.conftest import Desk
from tests.project import letter, reply_to


def test_mail_in_and_out_lies_in_one_table_in_the_order_in_which_it_came(desk: Desk) -> None:
    desk.receive(letter("VPN is down"))
    desk.receive(reply_to(desk.answer_to("anna@customer.example").raw, "It works again."))

    frame = desk.k.messages.frame(mailbox="support")
    assert list(zip(frame["direction"], frame["state"], frame["record_key"], strict=True)) == [
        ("in", "done", "1"),
        ("out", "sent", "1"),
        ("in", "done", "1"),
    ]
    assert list(frame["grade"].fillna("")) == ["created", "", "signed"]


def test_an_outgoing_mail_is_kept_byte_for_byte_as_the_server_got_it(desk: Desk) -> None:
    desk.receive(letter("Grüße: \U0001f426", "äöü\n" * 100))

    (number,) = desk.k.messages.frame(direction="out")["id"]
    kept = desk.k.messages[number].raw
    taken = desk.answer_to("anna@customer.example").raw
    assert taken.endswith(b"\r\n" + kept)
    trace = taken.removesuffix(kept).split(b"\r\n")
    assert trace[0].startswith(b"Received: ")
    assert all(line[:1] in (b"\t", b" ", b"") for line in trace[1:]), "one header, no more"


def test_an_outgoing_mail_reads_like_an_incoming_one(desk: Desk) -> None:
    desk.receive(letter("VPN is down"))

    (row,) = desk.k.messages.frame(direction="out").to_dict("records")
    sent = desk.answer_to("anna@customer.example").mail
    assert row["subject"] == sent["Subject"]
    assert row["from_address"] == "support@kolibri.example"
    assert row["to"] == ["anna@customer.example"]
    assert f"<{row['message_id']}>" == sent["Message-ID"]
    assert row["size"] == len(desk.k.messages[row["id"]].raw)
    plain = sent.get_body(("plain",))
    assert plain is not None
    assert row["text"].split() == plain.get_content().split()


def test_a_mail_that_was_not_sent_is_there_too_and_says_why(desk: Desk) -> None:
    desk.folder.write("rules/templates/incident-received/en.txt.j2", "{{ record.nothing.at_all }}")
    desk.deliver(letter())

    desk.poll()

    (row,) = desk.k.messages.frame(direction="out").to_dict("records")
    assert row["state"] == "unsent"
    assert "incident-received/en.txt.j2" in row["error"]


def test_every_mail_of_a_record_is_found_by_the_record(desk: Desk) -> None:
    desk.receive(letter("one"), letter("two", sender="tom@customer.example"))

    subjects = list(desk.k.messages.frame(record=("incident", 2))["subject"])
    assert subjects[0] == "two"
    assert subjects[1].endswith("We have your request: two")
    assert len(subjects) == 2


def test_mail_by_hand_is_kept_byte_for_byte_with_what_became_of_it(either_desk: Desk) -> None:
    record = either_desk.k.records["incident"].insert(title="Grüße")
    sent = record.mail(
        to="anna@customer.example", cc="tom@customer.example", html="<p>äöü</p>",
        attachments=[("Größe.txt", "ß".encode())],
    )  # fmt: skip
    either_desk.healthy_poll()

    mail = either_desk.k.messages[sent.message]
    taken = either_desk.answer_to("anna@customer.example")
    assert taken.raw.endswith(b"\r\n" + mail.raw)
    (row,) = either_desk.k.messages.frame(direction="out").to_dict("records")
    assert (row["state"], row["to"], row["cc"]) == (
        "sent",
        ["anna@customer.example"],
        ["tom@customer.example"],
    )
    assert [one["filename"] for one in row["attachments"]] == ["Größe.txt"]
    assert mail.attachments[0].read() == "ß".encode()
    assert dict(mail.headers)["Subject"] == mail.subject == taken.mail["Subject"]
    assert {who: told["code"] for who, told in mail.results.items()} == {
        "anna@customer.example": 250,
        "tom@customer.example": 250,
    }
