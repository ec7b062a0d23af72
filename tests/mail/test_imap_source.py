"""Reading by IMAP, on a real Dovecot, with a colleague at work in the same mailbox."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from kolibri_sdk.errors import ConfigurationError, ConnectionFailed, LoginRefused, ServerRefused
from kolibri_sdk.mailboxes import Listed, open_source
from tests.mail.conftest import NewMailbox, mail, subjects
from tests.servers.dovecot import PASSWORD_VARIABLE, Dovecot

pytestmark = pytest.mark.dovecot


def uids(listed: list[Listed]) -> list[str]:
    return [mail.uid for mail in listed]


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_bytes_come_as_they_were_delivered_and_flags_stay(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, security: str
) -> None:
    raw = b"Subject: 1\r\n\r\n.\r\nGr\xfc\xdfe \xf0\x9f\x98\x80 {12}\r\n)\r\n* 1 FETCH (UID 9)\r\n"
    arrived = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
    dovecot.append(user, raw, at=arrived)
    side = dovecot.inbound(user, security=security)  # type: ignore[arg-type]
    with open_source(imap_mailbox(**side)) as source:
        status = source.open("INBOX")
        listed = source.list(unread=True, above=None, since=None)
        ((fetched,),) = source.fetch(listed)
    assert status.ordered
    assert status.uidvalidity > 0
    assert status.uidnext == 2
    assert fetched.raw == raw
    assert fetched.received_at == arrived
    assert not fetched.seen
    with dovecot.imap(user, "INBOX") as colleague:
        assert colleague.search("UNSEEN") == [1]


def test_unread_mode_takes_unseen_mail_alone_on_the_first_run(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), flags=(b"\\Seen",))
    dovecot.append(user, mail(2))
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        assert uids(source.list(unread=True, above=None, since=None)) == ["2"]
        assert uids(source.list(unread=False, above=None, since=None)) == ["1", "2"]


def test_what_a_colleague_opened_between_two_polls_is_still_listed(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), mail(2), mail(3))
    with dovecot.imap(user, "INBOX") as colleague:
        colleague.fetch([3], ["BODY[]"])  # opens it: \Seen
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        listed = source.list(unread=True, above=2, since=None)
    assert [(mail.uid, mail.seen) for mail in listed] == [
        ("1", False),  # still unseen: the ledger knows it already
        ("2", False),
        ("3", True),
    ]


def test_nothing_new_is_an_empty_list_though_the_server_names_the_last_mail(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), mail(2))
    with dovecot.imap(user, "INBOX") as colleague:
        assert colleague.search(["UID", "3:*"]) == [2]  # the trap
        colleague.add_flags([1, 2], [b"\\Seen"])
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        assert source.list(unread=False, above=2, since=None) == []
        assert source.list(unread=True, above=2, since=None) == []


def test_an_empty_folder_lists_nothing(imap_mailbox: NewMailbox) -> None:
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        assert source.list(unread=False, above=None, since=None) == []
        assert list(source.fetch([])) == []


def test_mail_expunged_between_list_and_fetch_is_named_and_the_others_come(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), mail(2), mail(3))
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        listed = source.list(unread=False, above=None, since=None)
        with dovecot.imap(user, "INBOX") as colleague:
            colleague.delete_messages([2])
            colleague.expunge()
        (batch,) = source.fetch(listed)
    assert [fetched.uid for fetched in batch] == ["1", "2", "3"]
    assert batch[1].raw is None
    assert batch[1].error
    assert subjects([[batch[0], batch[2]]]) == ["mail 1", "mail 3"]


def test_a_folder_made_anew_has_another_uidvalidity(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    with dovecot.imap(user) as colleague:
        colleague.create_folder("Anfragen")
    mailbox = imap_mailbox(folders=["Anfragen"])
    with open_source(mailbox) as source:
        before = source.open("Anfragen").uidvalidity
    with dovecot.imap(user) as colleague:
        colleague.delete_folder("Anfragen")
        time.sleep(1.1)  # Dovecot's UIDVALIDITY counts seconds
        colleague.create_folder("Anfragen")
    with open_source(mailbox) as source:
        assert source.open("Anfragen").uidvalidity != before


def test_since_is_exact_where_search_knows_days_only(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    noon = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    for number, minutes in enumerate((-1440, -1, 0, 1), start=1):
        dovecot.append(user, mail(number), at=noon + timedelta(minutes=minutes))
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        assert uids(source.list(unread=False, above=None, since=noon)) == ["3", "4"]
        assert uids(source.list(unread=True, above=None, since=noon)) == ["3", "4"]


def test_delete_takes_our_mail_and_leaves_what_a_colleague_marked(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    dovecot.append(user, mail(1), mail(2), mail(3))
    with dovecot.imap(user, "INBOX") as colleague:
        colleague.add_flags([3], [b"\\Deleted"])
        with open_source(imap_mailbox()) as source:
            source.open("INBOX")
            source.mark_deleted(["1"])
        colleague.noop()
        assert colleague.search() == [2, 3]


def test_without_uidplus_mail_stays_marked(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.append(user, mail(1))
    with open_source(imap_mailbox()) as source:
        monkeypatch.setattr(
            source._session.client,  # type: ignore[union-attr]
            "_cached_capabilities",
            (b"IMAP4REV1",),
        )
        source.open("INBOX")
        source.mark_deleted(["1"])
    with dovecot.imap(user, "INBOX") as colleague:
        assert colleague.search("DELETED") == [1]


def test_mark_seen(dovecot: Dovecot, user: str, imap_mailbox: NewMailbox) -> None:
    dovecot.append(user, mail(1), mail(2))
    with open_source(imap_mailbox()) as source:
        source.open("INBOX")
        source.mark_seen(["2"])
    with dovecot.imap(user, "INBOX") as colleague:
        assert colleague.search("SEEN") == [2]


def test_a_wrong_password_is_a_refused_login(
    imap_mailbox: NewMailbox, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    with pytest.raises(LoginRefused, match=f"support.*127.0.0.1:.*{user}.*AUTHENTICATIONFAILED"):
        open_source(imap_mailbox())


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_strange_certificate_is_refused_and_the_setting_named(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox, security: str
) -> None:
    side = dovecot.inbound(user, security=security)  # type: ignore[arg-type]
    with pytest.raises(ConnectionFailed, match=r"not trusted.*ca: FILE"):
        open_source(imap_mailbox(**side | {"ca": str(dovecot.stranger_ca)}))


def test_tls_asked_of_a_plain_port_says_what_must_fit(
    dovecot: Dovecot, imap_mailbox: NewMailbox
) -> None:
    with pytest.raises(ConnectionFailed, match="security: tls"):
        open_source(imap_mailbox(port=dovecot.ports["imap"], security="tls", timeout=2.0))


def test_an_unknown_folder_is_named_with_those_there_are(imap_mailbox: NewMailbox) -> None:
    with open_source(imap_mailbox()) as source, pytest.raises(ServerRefused) as refused:
        source.open("Supprt")
    assert "'Supprt'" in str(refused.value)
    assert "INBOX" in str(refused.value)


def test_a_line_break_never_gets_into_a_command(
    dovecot: Dovecot, user: str, imap_mailbox: NewMailbox
) -> None:
    with open_source(imap_mailbox()) as source, pytest.raises(ConfigurationError, match="break"):
        source.open("INBOX\r\nA1 DELETE INBOX")
    with pytest.raises(ConfigurationError, match="user name"):
        open_source(imap_mailbox(user=f"{user}\r\nA1 LOGOUT"))


def test_a_folder_name_beyond_ascii(dovecot: Dovecot, user: str, imap_mailbox: NewMailbox) -> None:
    with dovecot.imap(user) as colleague:
        colleague.create_folder("Störungen & Wünsche")
    dovecot.append(user, mail(1), folder="Störungen & Wünsche")
    with open_source(imap_mailbox(folders=["Störungen & Wünsche"])) as source:
        source.open(source.folders()[0])
        assert subjects(source.fetch(source.list(unread=True, above=None, since=None))) == [
            "mail 1"
        ]


def test_a_server_that_falls_silent_is_given_up(imap_mailbox: NewMailbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        started = time.monotonic()
        with pytest.raises(ConnectionFailed, match=r"silent for 0\.3 s"):
            open_source(
                imap_mailbox(port=black_hole.getsockname()[1], security="none", timeout=0.3)
            )
        assert time.monotonic() - started < 2
