"""An mbox of every custom is split into its mails, each as it was before it was filed."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from kolibri_sdk.archives.mbox import MboxMail, begins_mbox, split_mbox
from kolibri_sdk.archives.stream import ByteStream

MARK = b"From anna@customer.example Fri May  1 12:00:00 2026\n"
ONE = b"From: anna@customer.example\nSubject: one\n\nHello\n"
TWO = b"From: bob@customer.example\nSubject: two\n\nBye\n"


def split(data: bytes, **limits: int) -> list[MboxMail]:
    return list(split_mbox(ByteStream(io.BytesIO(data), "old.mbox"), **limits))


def raws(data: bytes) -> list[bytes | None]:
    return [mail.raw for mail in split(data)]


def test_mails_come_with_their_place_and_the_date_of_their_postmark() -> None:
    first, second = split(MARK + ONE + b"\n" + MARK + TWO + b"\n")
    assert (first.raw, second.raw) == (ONE, TWO)
    assert (first.offset, second.offset) == (0, len(MARK + ONE) + 1)
    assert first.received_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "postmark",
    [
        b"From anna@customer.example Fri May  1 12:00:00 2026",
        b"From anna@customer.example  Fri May  1 12:00 2026",
        b"From - Fri May 01 12:00:00 2026",
        b"From MAILER-DAEMON Fri May  1 12:00:00 2026",
        b"From 1798@xxx Fri May 01 12:00:00 +0000 2026",
        b"From anna at customer.example  Fri May  1 12:00:00 2026",
        b"From anna@customer.example Fri May  1 12:00:00 CEST 2026",
        b"From anna@customer.example Fri, 1 May 2026 12:00:00 +0200",
        b"From anna@customer.example",
    ],
)
def test_postmarks_as_programs_write_them(postmark: bytes) -> None:
    data = b"".join(postmark + b"\n" + mail + b"\n" for mail in (ONE, TWO))
    assert begins_mbox(data)
    assert raws(data) == [ONE, TWO]


@pytest.mark.parametrize(
    "line",
    [
        b"From Monday on: the printer is off",
        b"From now on\nNote: nothing works",
        b"From anna@customer.example we heard nothing",
        b"From the log of Fri May  1 12:00:00 2026\nand then nothing",
    ],
)
def test_a_line_of_text_does_not_begin_a_mail(line: bytes) -> None:
    mail = b"Subject: printer\nTo: support@kolibri.example\n\nHello,\n\n" + line + b"\n"
    assert raws(MARK + mail + b"\n" + MARK + TWO) == [mail, TWO]


def test_mboxrd_quoting_is_taken_back_one_level() -> None:
    mail = b"Subject: a\nTo: b\n\nFrom here\n>From there\n>>From everywhere\n > From\n"
    filed = b"Subject: a\nTo: b\n\n>From here\n>>From there\n>>>From everywhere\n > From\n"
    assert raws(MARK + filed + b"\n" + MARK + TWO) == [mail, TWO]


def test_mboxcl2_counts_and_quotes_nothing() -> None:
    body = b"Look at this:\n\n" + MARK + ONE + b"\n>From here\n"
    mail = b"Subject: a mailbox as text\nContent-Length: %d\n\n%b" % (len(body), body)
    assert raws(MARK + mail + b"\n" + MARK + TWO) == [mail, TWO]


def test_mboxcl_counts_and_quotes() -> None:
    body = b">From here\n"
    mail = b"Subject: a\nContent-Length: %d\n\n%b" % (len(body), body)
    assert raws(MARK + mail + b"\n" + MARK + TWO) == [mail.replace(b">From", b"From"), TWO]


def test_a_content_length_of_a_sender_hides_no_mail() -> None:
    hidden = b"\n" + MARK + TWO + b"\n"
    trap = b"Subject: trap\nContent-Length: %d\n\nx\n" % (2 + len(hidden) - 1)
    data = MARK + ONE + b"\n" + MARK + trap + hidden + MARK + ONE
    assert raws(data) == [ONE, trap, TWO, ONE]


def test_a_wrong_content_length_is_no_matter() -> None:
    wrong = b"Subject: a\nContent-Length: 99999\n\nHello\n"
    assert raws(MARK + wrong + b"\n" + MARK + TWO) == [wrong, TWO]


def test_crlf_throughout() -> None:
    data = (MARK + ONE + b"\n" + MARK + TWO + b"\n").replace(b"\n", b"\r\n")
    assert raws(data) == [ONE.replace(b"\n", b"\r\n"), TWO.replace(b"\n", b"\r\n")]


def test_mails_without_a_blank_line_between_them_without_text_and_without_a_head() -> None:
    bare = b"\nno head at all\n"
    data = MARK + ONE + MARK + TWO + b"\n" + MARK + b"\n" + MARK + bare + b"\n" + MARK + TWO
    assert raws(data) == [ONE, TWO, b"\n", bare, TWO]


def test_what_lies_across_the_edges_of_blocks_is_found() -> None:
    class Slow:
        def __init__(self, data: bytes) -> None:
            self._file = io.BytesIO(data)

        def read(self, size: int) -> bytes:
            return self._file.read(min(size, 1 + self._file.tell() % 7))

    mails = [b"Subject: %d\nTo: x\n\n%b\n" % (n, b"word " * n) for n in range(1, 40)]
    data = b"".join(MARK + mail + b"\n" for mail in mails)
    split_slowly = split_mbox(ByteStream(Slow(data), "old.mbox"))
    assert [mail.raw for mail in split_slowly] == mails


def test_a_mail_beyond_all_measure_is_told_and_passed_over() -> None:
    huge = b"Subject: huge\nTo: x\n\n" + b"word word word\n" * 200_000
    first, told, last = split(MARK + ONE + b"\n" + MARK + huge + b"\n" + MARK + TWO, most=1_000_000)
    assert (first.raw, last.raw) == (ONE, TWO)
    assert told.raw is None
    assert told.offset == len(MARK + ONE) + 1
    assert "more than 1,000,000" in told.error


def test_the_last_mail_needs_no_end() -> None:
    assert raws(MARK + ONE + b"\n" + MARK + b"Subject: cut off\nTo: x") == [
        ONE,
        b"Subject: cut off\nTo: x",
    ]
    assert raws(b"") == []


def test_a_file_that_breaks_off_gives_what_came_before_and_the_reason() -> None:
    class Broken:
        def __init__(self) -> None:
            self._parts = [MARK + ONE + b"\n" + MARK + TWO]

        def read(self, size: int) -> bytes:
            if self._parts:
                return self._parts.pop()
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")

    *mails, end = split_mbox(ByteStream(Broken(), "old.mbox.gz"))
    assert [mail.raw for mail in mails] == [ONE, TWO]
    assert end.raw is None
    assert "old.mbox.gz cannot be read further" in end.error
