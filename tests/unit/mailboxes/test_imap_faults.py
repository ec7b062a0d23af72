"""IMAP servers that refuse, hang up, chatter or answer in an odd order (faults 13 to 19)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kolibri_sdk.errors import ConnectionFailed
from kolibri_sdk.mailboxes import Fetched, open_source
from tests.servers.scripted import ImapDouble, Line, serving
from tests.unit.mailboxes.conftest import reading


def mails(count: int) -> dict[int, bytes]:
    return {uid: b"Subject: mail %d\r\n\r\n{3}\r\n)\r\n" % uid for uid in range(1, count + 1)}


def fetch_all(double: ImapDouble) -> dict[int, Fetched]:
    with serving(double.talk) as port, open_source(reading("imap", port)) as source:
        source.open("INBOX")
        listed = source.list(unread=False, above=None, since=None)
        found = [fetched for batch in source.fetch(listed) for fetched in batch]
    assert [int(fetched.uid) for fetched in found] == sorted(double.mails)  # each exactly once
    return {int(fetched.uid): fetched for fetched in found}


def test_unordered_and_repeated_search_answers() -> None:
    found = fetch_all(ImapDouble(mails(5)))
    assert {uid: fetched.raw for uid, fetched in found.items()} == mails(5)


@pytest.mark.parametrize("flags_last", [False, True])
def test_facts_before_or_after_the_bytes(flags_last: bool) -> None:
    found = fetch_all(ImapDouble(mails(2), flags_last=flags_last))
    assert found[2] == Fetched("2", mails(2)[2], datetime(2026, 5, 1, 8, tzinfo=UTC), True)


def test_untagged_lines_within_the_answer() -> None:
    chatter = b"* 9 EXISTS\r\n* 3 EXPUNGE\r\n* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (FLAGS ())\r\n"
    found = fetch_all(ImapDouble(mails(3), chatter=chatter))
    assert {uid: fetched.raw for uid, fetched in found.items()} == mails(3)


def test_an_empty_body_is_a_missing_one() -> None:
    found = fetch_all(ImapDouble(mails(2) | {3: b""}))
    assert found[3].raw is None
    assert found[3].error
    assert found[2].raw


@pytest.mark.parametrize("fault", ["refuses", "hangs_up_on", "cuts_short"])
@pytest.mark.parametrize("bad", [{1}, {37}, {100}, {7, 8, 93}])
def test_one_bad_mail_does_not_stop_the_others(fault: str, bad: set[int]) -> None:
    double = ImapDouble(mails(100), **{fault: bad})  # type: ignore[arg-type]
    found = fetch_all(double)
    assert {uid for uid, fetched in found.items() if fetched.raw is None} == bad
    assert all(found[uid].error for uid in bad)
    good = {uid: fetched.raw for uid, fetched in found.items() if uid not in bad}
    assert good == {uid: raw for uid, raw in mails(100).items() if uid not in bad}
    if fault != "refuses":
        assert double.connections <= 1 + 8 * len(bad)  # halving, not one by one


def test_a_server_that_always_hangs_up_is_given_up() -> None:
    double = ImapDouble(mails(100), hangs_up_on=set(range(1, 101)))
    with pytest.raises(ConnectionFailed, match="was lost while fetching mail"):
        fetch_all(double)
    assert double.connections < 40


def test_a_server_that_answers_nonsense_is_refused_not_believed() -> None:
    def talk(stream: Line) -> None:
        stream.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(talk) as port, pytest.raises(ConnectionFailed, match="support"):
        open_source(reading("imap", port))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"NO [AUTHENTICATIONFAILED] no", "LoginRefused"),
        (b"NO [UNAVAILABLE] the user database is down", "ServerBusy"),
        (b"NO Too many simultaneous connections", "ServerBusy"),
        (b"NO [LIMIT] rate limit hit", "ServerBusy"),
        (b"NO [INUSE] locked", "ServerBusy"),
        (b"BAD Request is throttled. Suggested Backoff Time: 90000 milliseconds", "ServerBusy"),
        (b"BAD what?", "LoginRefused"),
    ],
)
def test_a_refused_login_is_told_from_a_busy_server(answer: bytes, kind: str) -> None:
    def talk(stream: Line) -> None:
        stream.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        while words := stream.readline().split():
            if words[1] == b"LOGIN":
                stream.write(words[0] + b" " + answer + b"\r\n")
            else:
                stream.write(b"* CAPABILITY IMAP4rev1\r\n" + words[0] + b" OK done\r\n")

    with serving(talk) as port, pytest.raises(Exception, match="support") as refused:
        open_source(reading("imap", port))
    assert type(refused.value).__name__ == kind


def test_without_starttls_no_password_is_sent() -> None:
    heard: list[bytes] = []

    def talk(stream: Line) -> None:
        stream.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
        while words := stream.readline().split():
            heard.append(words[1])
            stream.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + words[0] + b" OK done\r\n")

    with serving(talk) as port, pytest.raises(ConnectionFailed, match="no STARTTLS"):
        open_source(reading("imap", port, security="starttls"))
    assert set(heard) == {b"CAPABILITY"}
