"""S14: incoming mail is fetched by POP3 or IMAP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.acceptance.conftest import Desk
from tests.project import letter


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_mail_is_fetched_once_whatever_the_protocol(
    bare_desk: Desk, protocol: str, security: str
) -> None:
    bare_desk.mailbox(protocol=protocol, security=security)
    bare_desk.deliver(letter("one"), letter("two"))
    bare_desk.healthy_poll()

    report = bare_desk.receive(letter("three"))

    assert report.counts["stored"] == 1
    assert list(bare_desk.k.messages.frame()["subject"]) == ["one", "two", "three"]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_the_stored_bytes_are_those_on_the_server(bare_desk: Desk, protocol: str) -> None:
    bare_desk.mailbox(protocol=protocol)
    umlauts = "Grüße\n.\n..zwei Punkte\nFrom hier an\n"
    bare_desk.receive(letter("Prüfung", umlauts))

    with bare_desk.dovecot.imap(bare_desk.user, "INBOX") as colleague:
        (body,) = colleague.fetch(colleague.search(), ["BODY.PEEK[]"]).values()
    (number,) = bare_desk.k.messages.frame()["id"]
    assert bare_desk.k.messages[number].raw == body[b"BODY[]"]
    assert bare_desk.k.messages[number].text.splitlines() == umlauts.splitlines()


def test_every_named_folder_of_an_imap_mailbox_is_read(bare_desk: Desk) -> None:
    inbound = bare_desk.dovecot.inbound(bare_desk.user, folders=["INBOX", "Aufträge.Heute"])
    bare_desk.mailbox(inbound=inbound)
    with bare_desk.dovecot.imap(bare_desk.user) as colleague:
        colleague.create_folder("Aufträge.Heute")
        colleague.append("Aufträge.Heute", letter("in a folder"))
    bare_desk.deliver(letter("in the inbox"))

    bare_desk.healthy_poll()

    assert set(bare_desk.k.messages.frame()["subject"]) == {"in a folder", "in the inbox"}


def test_mail_is_as_old_as_its_arrival_on_the_server_says(bare_desk: Desk) -> None:
    arrived = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
    bare_desk.dovecot.append(bare_desk.user, letter(), at=arrived)

    bare_desk.healthy_poll()

    (received,) = bare_desk.k.messages.frame()["received_at"]
    assert received == arrived
