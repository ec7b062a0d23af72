"""Reading by POP3, on a real Dovecot."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kolibri_sdk.errors import ConnectionFailed, LoginRefused
from kolibri_sdk.mailboxes import open_source
from tests.mail.conftest import NewMailbox, mail, subjects
from tests.servers.dovecot import PASSWORD_VARIABLE, Dovecot

pytestmark = pytest.mark.dovecot


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_mail_is_retrieved_byte_for_byte(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, security: str
) -> None:
    raw = b"Subject: mail 1\r\n\r\n.\r\n..\r\n" + b"x" * 5000 + b"\r\nGr\xfc\xdfe\r\n.end\r\n"
    dovecot.append(user, raw)
    side = dovecot.inbound(user, "pop3", security=security)  # type: ignore[arg-type]
    with open_source(imap_mailbox(**side)) as source:
        status = source.open("INBOX")
        ((fetched,),) = source.fetch(source.list(unread=True, above=None, since=None))
    assert not status.ordered
    assert fetched.raw == raw


def test_more_mails_than_one_pipeline_come_in_order(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, *(mail(number) for number in range(45)))
    with open_source(imap_mailbox(**dovecot.inbound(user, "pop3"))) as source:
        source.open("INBOX")
        listed = source.list(unread=False, above=None, since=None)
        assert subjects(source.fetch(listed)) == [f"mail {number}" for number in range(45)]


def test_dele_counts_only_after_quit(dovecot: Dovecot, user: str, imap_mailbox: NewMailbox) -> None:
    dovecot.append(user, mail(1), mail(2))
    mailbox = imap_mailbox(**dovecot.inbound(user, "pop3"))
    source = open_source(mailbox)
    source.open("INBOX")
    first = source.list(unread=False, above=None, since=None)[0].uid
    source.mark_deleted([first])
    source.__exit__(ConnectionFailed, ConnectionFailed("support", "the line was lost"), None)
    with open_source(mailbox) as again:
        again.open("INBOX")
        assert len(again.list(unread=False, above=None, since=None)) == 2
        again.mark_deleted([first])
    with dovecot.imap(user, "INBOX") as colleague:
        assert colleague.search() == [2]


def test_arrival_is_what_the_topmost_received_header_says(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, b"Received: by mx; Fri, 1 May 2026 10:00:00 +0200\r\n" + mail(1), mail(2))
    with open_source(imap_mailbox(**dovecot.inbound(user, "pop3"))) as source:
        source.open("INBOX")
        since = datetime(2026, 5, 1, 8, 0, 1, tzinfo=UTC)
        listed = source.list(unread=False, above=None, since=since)
        assert subjects(source.fetch(listed)) == ["mail 2"]  # says nothing: never left out
        ((first, _),) = source.fetch(source.list(unread=False, above=None, since=None))
        assert first.received_at == datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def test_a_wrong_password_is_a_refused_login(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(LoginRefused, match="app password"):
        open_source(imap_mailbox(**dovecot.inbound(user, "pop3")))


def test_a_strange_certificate_is_refused_and_the_setting_named(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    side = dovecot.inbound(user, "pop3", "starttls", ca=str(dovecot.stranger_ca))
    with pytest.raises(ConnectionFailed, match="ca: FILE"):
        open_source(imap_mailbox(**side))
