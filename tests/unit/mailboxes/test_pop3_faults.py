"""POP3 servers without identities, and those that hang up (faults 30 and 31)."""

from __future__ import annotations

import pytest

from kolibri_sdk.errors import ConnectionFailed, ServerRefused
from kolibri_sdk.mailboxes import Fetched, Listed, open_source
from tests.servers.scripted import Pop3Double, serving
from tests.unit.mailboxes.conftest import reading

MAILS = [b"Subject: %d\r\n\r\n.dot\r\n" % n for n in range(4)]


def fetch_all(double: Pop3Double) -> tuple[list[Listed], list[Fetched]]:
    with serving(double.talk) as port, open_source(reading("pop3", port)) as source:
        source.open("INBOX")
        listed = source.list(unread=True, above=None, since=None)
        return listed, [fetched for batch in source.fetch(listed) for fetched in batch]


@pytest.mark.parametrize(
    "uidl", [None, ["", "", "", ""], ["a", "", "b", "c"], ["same", "same", "b", "c"]]
)
def test_where_identities_are_missing_the_content_is_one(uidl: list[str] | None) -> None:
    listed, found = fetch_all(Pop3Double(MAILS, uidl))
    assert sorted(fetched.raw or b"" for fetched in found) == MAILS
    assert len({mail.uid for mail in listed}) == 4
    again, _ = fetch_all(Pop3Double(MAILS[::-1], uidl and uidl[::-1]))
    assert {mail.uid for mail in again} == {mail.uid for mail in listed}


def test_equal_bytes_without_identity_are_one_mail_and_are_deleted_together() -> None:
    double = Pop3Double([MAILS[0], MAILS[1], MAILS[0]])
    with serving(double.talk) as port, open_source(reading("pop3", port)) as source:
        source.open("INBOX")
        listed = source.list(unread=True, above=None, since=None)
        assert len(listed) == 2
        source.mark_deleted([listed[0].uid])
    assert double.deleted == {1, 3}


@pytest.mark.parametrize("fault", ["hangs_up_on", "refuses"])
def test_one_bad_mail_does_not_stop_the_others(fault: str) -> None:
    double = Pop3Double(MAILS, ["a", "b", "c", "d"], **{fault: {2}})  # type: ignore[arg-type]
    _, found = fetch_all(double)
    assert [fetched.raw for fetched in found] == [MAILS[0], None, MAILS[2], MAILS[3]]
    assert found[1].error


def test_deletions_survive_a_connection_that_broke_meanwhile() -> None:
    double = Pop3Double(MAILS, ["a", "b", "c", "d"], hangs_up_on={3})
    with serving(double.talk) as port, open_source(reading("pop3", port)) as source:
        source.open("INBOX")
        source.mark_deleted(["a"])
        list(source.fetch(source.list(unread=True, above=None, since=None)))
    assert double.connections == 2
    assert double.deleted == {1}


def test_a_quit_that_fails_is_told_when_mail_was_to_go() -> None:
    double = Pop3Double(MAILS, ["a", "b", "c", "d"], drops_at_quit=True)
    with serving(double.talk) as port:
        source = open_source(reading("pop3", port))
        source.open("INBOX")
        source.mark_deleted(["a"])
        with pytest.raises((ConnectionFailed, ServerRefused), match="to be deleted"):
            source.close()
        with open_source(reading("pop3", port)):
            pass  # nothing to delete, nothing to tell
    assert double.deleted == set()


def test_without_starttls_no_password_is_sent() -> None:
    heard: list[str] = []

    class Stripped(Pop3Double):
        def _answer(self, command: str, number: int) -> bytes:
            heard.append(command)
            return super()._answer(command, number)

    with serving(Stripped([]).talk) as port, pytest.raises(ConnectionFailed, match="no STARTTLS"):
        open_source(reading("pop3", port, security="starttls"))
    assert set(heard) == {"CAPA"}
