"""Faults 24-38: floods, mails without this and that, repeats, hostile bytes, hostile subjects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from kolibri_sdk import clock
from kolibri_sdk.store import upgrade
from kolibri_sdk.store.engine import Store
from tests.faults.conftest import NewDesk, Run
from tests.faults.desk import INCIDENT, Desk, maildir_sides
from tests.project import letter
from tests.servers.dovecot import Dovecot

PLAIN = b"\r\nHello,\r\n\r\nplease help.\r\n"
ORDINARY = letter("An ordinary mail")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_desk(request: pytest.FixtureRequest, new_desk: NewDesk) -> Desk:
    """A desk on each of the two databases."""
    if request.param == "sqlite":
        return new_desk()
    url = request.getfixturevalue("postgresql")()
    with closing(Store(url)) as store:
        upgrade(store)
    return new_desk(database=url)


def test_fault_24_two_thousand_mails_at_once(desk: Desk) -> None:
    desk.rule("incident", INCIDENT | {"when": "/^Request \\d*00$/.test(message.subject)"})
    desk.drop(*(letter(f"Request {n}", sender=f"p{n}@customer.example") for n in range(2000)))

    elapsed = clock.stopwatch()
    report = desk.healthy_poll()

    assert elapsed() < 60
    assert report.counts["stored"] == 2000
    assert desk.states() == {f"Request {n}": "done" for n in range(2000)}
    assert sorted(desk.titles()) == sorted(f"Request {n}00" for n in range(1, 20))
    assert not any(desk.healthy_poll().counts.values())


WITHOUT = {
    "message-id": b"From: anna@customer.example\r\nDate: Fri, 1 May 2026 10:00:00 +0200\r\n"
    b"Subject: no id\r\n" + PLAIN,
    "date": b"From: anna@customer.example\r\nMessage-ID: <1@x.example>\r\nSubject: no date\r\n"
    + PLAIN,
    "sender": b"Message-ID: <2@x.example>\r\nSubject: no sender\r\n" + PLAIN,
    "headers": PLAIN,
    "anything": b"\r\n",
}


def test_fault_25_mails_without_message_id_date_sender_or_anything(any_desk: Desk) -> None:
    any_desk.drop(*WITHOUT.values())

    any_desk.healthy_poll()

    states = any_desk.column("SELECT state FROM kolibri_message WHERE direction = 'in'")
    assert states == ["done"] * len(WITHOUT)
    titles = sorted(any_desk.titles())
    assert titles == ["(no subject)", "(no subject)", "no date", "no id", "no sender"]


def test_fault_25_two_different_mails_with_one_message_id(desk: Desk) -> None:
    same = b"From: a@customer.example\r\nMessage-ID: <same@x.example>\r\n"
    desk.drop(same + b"Subject: One\r\n" + PLAIN, same + b"Subject: Two\r\n" + PLAIN)

    desk.healthy_poll()

    assert sorted(desk.titles()) == ["One", "Two"]


@pytest.mark.parametrize("at_once", [True, False])
def test_fault_26_the_same_bytes_delivered_twice(desk: Desk, at_once: bool) -> None:
    """An MTA that lost the line after the dot delivers again (RFC 1047): one mail, and said."""
    raw = letter("Request")
    duplicates = 0
    for mails in [[raw, raw]] if at_once else [[raw], [raw]]:
        desk.drop(*mails)
        duplicates += desk.healthy_poll().counts["duplicates"]

    assert desk.titles() == ["Request"]
    assert duplicates == 1
    states = desk.column("SELECT state FROM kolibri_ledger ORDER BY state")
    assert states == ["duplicate", "stored"]


DATES = {
    "Thu, 1 Jan 1970 00:00:00 +0000": "1970-01-01T00:00:00+00:00",
    "Thu, 31 Dec 2099 23:59:59 +0000": "2099-12-31T23:59:59+00:00",
    "Fri, 1 May 2026 09:00:00 +1300": "2026-04-30T20:00:00+00:00",
    "Fri, 1 May 2026 09:00:00 EST": "2026-05-01T14:00:00+00:00",
    "Wed, 31 Dec 1969 23:59:59 +0000": None,
    "Mon, 1 Jan 2125 00:00:00 +0000": None,
    "Fri, 31 Feb 2026 25:61:00 +9999": None,
    "yesterday": None,
    "=?utf-8?q?=00?= \xff": None,
}


def test_fault_27_dates_of_1970_2099_other_zones_and_none_at_all(any_desk: Desk) -> None:
    before = clock.now().replace(microsecond=0)
    any_desk.drop(
        *(
            f"From: a@customer.example\r\nSubject: {n}\r\nDate: {date}\r\n".encode("latin-1")
            + PLAIN
            for n, date in enumerate(DATES)
        )
    )

    any_desk.healthy_poll()

    assert sorted(any_desk.titles()) == [str(n) for n in range(len(DATES))]
    with any_desk.folder.open() as k:
        mails = [k.messages[number + 1] for number in range(len(DATES))]
        assert all(before <= mail.received_at <= clock.now() for mail in mails)
        sent = {mail.subject: mail.sent_at for mail in mails}
    told = [moment and moment.isoformat() for _, moment in sorted(sent.items())]
    assert told == list(DATES.values())


@pytest.mark.dovecot
@pytest.mark.parametrize("where", ["fetch.before_server_mark", "fetch.after_server_mark"])
@pytest.mark.parametrize("after", ["seen", "delete"])
def test_fault_29_killed_between_the_commit_and_the_word_to_the_server(
    desk: Desk, dovecot: Dovecot, run_pass: Run, where: str, after: str
) -> None:
    user = dovecot.new_user("flags")
    desk.mailbox(inbound=dovecot.inbound(user, security="none", after=after))
    dovecot.deliver(user, letter("One"), letter("Two"))

    def unseen() -> list[int]:
        with dovecot.imap(user, "INBOX") as colleague:
            return list(colleague.search("UNSEEN"))

    assert run_pass(str(desk.root), at=where)["status"] == -9
    assert len(unseen()) == (2 if where == "fetch.before_server_mark" else 0)

    dovecot.deliver(user, letter("Three"))
    desk.healthy_poll()

    assert desk.titles() == ["One", "Two", "Three"]
    assert unseen() == []
    with dovecot.imap(user, "INBOX") as colleague:
        assert len(colleague.search("ALL")) == (3 if after == "seen" else 0)


HEAD = b"From: anna@customer.example\r\nSubject: "
TEXT = b"\r\nContent-Type: text/plain; charset="
HOSTILE = {
    "unknown charset": HEAD + b"a" + TEXT + b"klingon-8\r\n\r\nna\xefve \x80\xff\r\n",
    "no charset, 8 bit": HEAD + b"Gr\xfc\xdfe \xf0\x9f\x98\x80" + b"\r\n\r\nna\xefve\r\n",
    "broken base64": HEAD
    + b"b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8*?=\x00\xff=SGV\r\n",
    "broken encoded word": HEAD + b"=?utf-8?B?4oK?= =?x-none?Q?=FF=00?=\r\n\r\nHello\r\n",
    "NUL": HEAD + b"c\x00d\r\nX-\x00: \x00\r\n\r\na\x00b\r\n",
    "lone surrogate": HEAD + b"=?utf-16?B?2AA=?=" + TEXT + b"utf-16le\r\n\r\n\x00\xd8a\x00\r\n",
    "surrogate as utf-8": HEAD + b"\xed\xa0\x80" + TEXT + b"utf-8\r\n\r\n\xed\xa0\x80\r\n",
    "utf-7": HEAD + b"d" + TEXT + b"utf-7\r\n\r\n+2AA-\r\n",
}


def test_fault_32_unknown_charsets_broken_encodings_nul_and_surrogates(any_desk: Desk) -> None:
    any_desk.drop(*HOSTILE.values(), ORDINARY)

    any_desk.healthy_poll()

    states = any_desk.column("SELECT state FROM kolibri_message WHERE direction = 'in'")
    assert states == ["done"] * (len(HOSTILE) + 1)
    assert "An ordinary mail" in any_desk.titles()
    assert len(any_desk.titles()) == len(HOSTILE) + 1


def nested(depth: int) -> bytes:
    opened = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(depth)
    )
    return HEAD + b"nested\r\nMIME-Version: 1.0\r\n" + opened + PLAIN


def beyond_limits() -> Iterator[bytes]:
    yield nested(5_000)
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    multipart = b"\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    yield HEAD + b"100,000 parts" + multipart + part * 100_000 + b"--b--\r\n"
    yield HEAD + b"a header of 10 MB\r\nX-Long: " + b"x" * 10 * 2**20 + b"\r\n" + PLAIN
    people = b", ".join(b"p%d@x.example" % n for n in range(12_000))
    yield HEAD + b"12,000 people\r\nTo: " + people.replace(b", ", b",\r\n ") + b"\r\n" + PLAIN


def test_fault_33_mails_beyond_all_limits_are_kept_and_shown_and_the_others_go_on(
    desk: Desk,
) -> None:
    hostile = list(beyond_limits())
    desk.drop(ORDINARY, *hostile, letter("One more"))

    elapsed = clock.stopwatch()
    report = desk.poll()

    assert elapsed() < 30
    assert report.counts["unparsed"] == len(hostile)
    assert sum("was not parsed" in told for told in report.refused) == len(hostile)
    assert desk.titles() == ["An ordinary mail", "One more"]
    kept = desk.rows("SELECT size, error FROM kolibri_message WHERE state = 'unparsed' ORDER BY id")
    assert [size for size, _ in kept] == [len(raw) for raw in hostile], "with all their bytes"
    assert all("exceeds the limit of" in error for _, error in kept), kept
    assert not any(desk.healthy_poll().counts.values())


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_fault_38_a_script_in_a_mail_is_shown_as_text_in_a_notebook(desk: Desk) -> None:
    desk.mailbox(**maildir_sides("support"), display_name=SCRIPT)
    desk.rule("broken", {"order": 1, "when": f"(() => {{ throw new Error({SCRIPT!r}) }})()"})
    desk.drop(letter(SCRIPT, SCRIPT, sender=f'"{SCRIPT}" <anna@customer.example>'))
    report = desk.poll()
    with desk.folder.open() as k:
        shown = [
            report,
            k.messages,
            k.messages[1],
            k.messages.frame(),
            k.records["incident", 1],
            k.records["incident"].frame(),
            k.records["incident", 1].activity,
            k.decisions.frame(),
            k.runs.frame(),
            k.mailboxes,
            k.rules,
        ]
        pages = {type(thing).__name__: html_of(thing) for thing in shown}
    told = {name for name, page in pages.items() if "alert(1)" in page}
    assert len(told) >= 4, f"the script is shown at all, in {told}"
    assert {name for name in told if "<script" in pages[name] or "<img" in pages[name]} == set()


def html_of(thing: object) -> str:
    """What a notebook shows of it as HTML, if anything."""
    make = getattr(thing, "_repr_html_", None)
    return str(make()) if make else ""
