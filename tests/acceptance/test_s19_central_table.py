"""S19: mail goes into one central table, attachments included, and is processed from there."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from tests.acceptance.conftest import Desk
from tests.project import ANNA, letter

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
REPORT = "Zeile 1\r\nZeile 2: Grüße\r\n".encode("cp1252") * 50


def with_attachments() -> bytes:
    """A mail with an HTML body, an inline image in it, and a file with umlauts in its name."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"] = ANNA, "support@kolibri.example"
    mail["Subject"] = "Bildschirmfoto"
    mail.set_content("Siehe Bild.\n")
    mail.add_alternative('<p>Siehe <img src="cid:shot@1"></p>', subtype="html")
    html = mail.get_body(("html",))
    assert html is not None
    html.add_related(
        PICTURE, "image", "png", cid="<shot@1>", filename="foto.png", disposition="inline"
    )
    mail.add_attachment(REPORT, "application", "octet-stream", filename="Prüfbericht März.log")
    return mail.as_bytes()


def only_message(desk: Desk) -> Any:
    (number,) = desk.k.messages.frame()["id"]
    return desk.k.messages[number]


@pytest.fixture(params=["sqlite", "postgresql"])
def any_desk(request: pytest.FixtureRequest, new_desk: Any) -> Desk:
    """A desk on each of the databases."""
    if request.param == "sqlite":
        return new_desk()  # type: ignore[no-any-return]
    return new_desk(database=request.getfixturevalue("postgresql")())  # type: ignore[no-any-return]


def test_attachments_and_inline_images_are_stored_with_their_bytes(any_desk: Desk) -> None:
    any_desk.receive(with_attachments())

    inline, attached = sorted(only_message(any_desk).attachments, key=lambda part: not part.inline)
    assert (inline.filename, inline.content_type, inline.inline) == ("foto.png", "image/png", True)
    assert inline.read() == PICTURE
    assert (attached.filename, attached.inline) == ("Prüfbericht März.log", False)
    assert attached.read() == REPORT
    assert attached.size == len(REPORT)


def test_the_whole_mail_is_kept_byte_for_byte(any_desk: Desk) -> None:
    raw = with_attachments()

    any_desk.receive(raw)

    stored = only_message(any_desk)
    assert stored.raw.endswith(raw), "the server has put its trace in front"
    assert stored.size == len(stored.raw)


def test_the_row_holds_what_the_mail_says(any_desk: Desk) -> None:
    any_desk.receive(
        letter("Grüße 🐦", "Hallo!\n", cc="Tom <tom@customer.example>, ute@customer.example")
    )

    (row,) = any_desk.k.messages.frame().to_dict("records")
    assert (row["direction"], row["mailbox"], row["kind"]) == ("in", "support", "ordinary")
    assert (row["from_address"], row["from_name"]) == ("anna@customer.example", "Anna Weiss")
    assert row["to"] == ["support@kolibri.example"]
    assert row["cc"] == ["tom@customer.example", "ute@customer.example"]
    assert (row["subject"], row["text"].strip()) == ("Grüße 🐦", "Hallo!")
    assert only_message(any_desk).headers


def test_a_mail_in_windows_1252_reads_as_it_was_written(bare_desk: Desk) -> None:
    head = (
        b"From: anna@customer.example\r\nSubject: =?windows-1252?Q?=80_und_=84Zitat=93?=\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\n"
    )

    bare_desk.receive(head + "Kosten: 5 € – „wirklich“\r\n".encode("cp1252"))

    message = only_message(bare_desk)
    assert message.subject == "€ und „Zitat“"
    assert message.text.strip() == "Kosten: 5 € – „wirklich“"


def test_a_mail_beyond_all_limits_is_kept_with_its_bytes_and_an_alarm(desk: Desk) -> None:
    bomb = letter("ordinary").replace(b"\r\n\r\n", b"\r\n" + b"X-Pad: 1\r\n" * 200_000 + b"\r\n", 1)

    report = desk.receive(bomb, letter("the next one"))

    assert (report.counts["unparsed"], report.counts["records"]) == (1, 1)
    (number,) = desk.k.messages.frame(state="unparsed")["id"]
    assert desk.k.messages[number].raw.endswith(bomb)
    assert desk.k.messages[number].error
    assert any(f"Message {number} was not parsed" in line for line in report.refused)


def test_mail_is_processed_from_the_table_when_it_is_long_gone_from_the_server(desk: Desk) -> None:
    template = desk.folder.root / "rules/templates/incident-received"
    parked = template.rename(desk.folder.root / "parked")
    desk.mailbox(after="delete")
    desk.deliver(letter("VPN is down"))
    assert not desk.poll().ok
    with desk.dovecot.imap(desk.user, "INBOX") as colleague:
        assert colleague.search() == []
    assert desk.incidents() == []

    desk.close()
    parked.rename(template)
    desk.healthy_poll()

    assert [row["title"] for row in desk.incidents()] == ["VPN is down"]
    assert desk.answer_to("anna@customer.example")
