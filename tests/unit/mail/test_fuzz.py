"""Mails of chance: nothing is raised, no text breaks a database, no file name leaves its folder."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kolibri_sdk.mail import LIMITS, parse_mail
from kolibri_sdk.model.message import ParsedMail

CORPUS = [
    path.read_bytes() for path in sorted((Path(__file__).parents[2] / "corpus").glob("*.eml"))
]
CASES = 200_000
MINUTES = 60  # a machine that is this slow gets no further, and the test says how far
HANGS = 10.0  # seconds of computing for one mail of a few kilobytes


def strings(mail: ParsedMail) -> Iterator[str]:
    """Every text that a mail holds."""
    yield from (mail.subject, mail.text, mail.html or "", mail.reply_text, mail.message_id or "")
    yield from (*mail.in_reply_to, *mail.references, *mail.defects, mail.return_path or "")
    for addresses in (mail.from_, mail.reply_to, mail.to, mail.cc, mail.bcc):
        yield from (text for address in addresses for text in (address.address, address.name))
    yield from (text for header in mail.headers for text in header)
    for part in mail.attachments:
        yield from (part.filename, part.content_type, part.content_id or "")
    for report in mail.bounces:
        yield from (report.address, report.status, report.action, report.diagnostic)


def assert_sound(raw: bytes) -> None:
    mail = parse_mail(raw)
    assert "fault of the parser" not in mail.incomplete, mail.incomplete
    assert mail.size == len(raw)
    for text in strings(mail):
        text.encode("utf-8")
        assert "\x00" not in text
    assert len(mail.attachments) <= LIMITS.parts * 2
    assert sum(part.size for part in mail.attachments) <= LIMITS.decoded_bytes * 2
    names = [part.filename.lower() for part in mail.attachments]
    assert len(set(names)) == len(names)
    for name in names:
        assert name.strip(". ")
        assert "/" not in name
        assert "\\" not in name
        assert len(name.encode()) <= 255


PIECES = [
    *(
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\r",
        b"From: ",
        b"Subject: ",
        b"--b\n",
        b"--b--\n",
        b'"',
        b"(",
        b";",
    ),
    *(b"=?utf-8?q?=C3?=", b"=?utf-7?b?K2QAfQ?=", b"=?utf-16?b?AND=?=", b"\xff", b"\x00", b"\x1b$B"),
    *(b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: text/html; charset="),
    *(b"utf-7", b"utf-16", b"idna", b"hex", b"iso-2022-jp", b"unicode_escape", b"begin 644 a\n"),
    *(b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: x-uuencode\n", b"end\n"),
    *(b"Content-Disposition: attachment; filename*0*=", b"%ED%A0%80", b"+2AA-", b"<a@b>", b"`\n"),
    *(b"Content-Type: message/delivery-status\n\n", b"Final-Recipient: rfc822;", b"BEGIN:VEVENT\n"),
    *(b"Date: ", b"Mon, 99 Nov 99999 99:99 +9999", b"Content-Type: message/rfc822\n\n"),
    *(b"Content-Type: application/ms-tnef; name=winmail.dat\n\n", b"\x78\x9f\x3e\x22\x01\x00"),
    *(b"\x01\x0c\x80\x02\x00\xff\xff\xff\xff", b"<meta charset=x>", b"cid:", b"../../", b"CON"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=40))
def test_anything_can_be_read(pieces: list[bytes]) -> None:
    assert_sound(b"".join(pieces))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CORPUS), st.data())
def test_damaged_mails_can_be_read(mail: bytes, data: st.DataObject) -> None:
    raw = bytearray(mail)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        cut = data.draw(st.integers(0, 30))
        raw[at : at + cut] = data.draw(st.sampled_from(PIECES) | st.binary(max_size=8))
    assert_sound(bytes(raw))


def flip(raw: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(raw)
    for _ in range(rng.randint(1, 1 + len(raw) // 50)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    return bytes(damaged)


def insert(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(PIECES) * rng.choice((1, 1, 1, 2, 50)) + raw[at:]


def cut(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    return raw[:start] + raw[start + rng.randint(1, len(raw)) :]


def repeat(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw))
    piece = raw[start : start + rng.randint(1, 200)]
    return raw[:start] + piece * rng.choice((2, 3, 40)) + raw[start:]


def splice(raw: bytes, rng: random.Random) -> bytes:
    other = rng.choice(CORPUS)
    return raw[: rng.randrange(len(raw) + 1)] + other[rng.randrange(len(other) + 1) :]


def shuffle_lines(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    for _ in range(rng.randint(1, 5)):
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def wrap(raw: bytes, rng: random.Random) -> bytes:
    kind = rng.choice((b"message/rfc822", b"text/plain", b"text/html", b"application/ms-tnef"))
    if rng.random() < 0.5:
        kind, raw = kind + b"\nContent-Transfer-Encoding: base64", base64.encodebytes(raw)
    return (
        b"Content-Type: multipart/mixed; boundary=w\n\n--w\nContent-Type: " + kind + b"\n\n" + raw
    )


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    *(flip, insert, insert, insert, cut, repeat, splice, shuffle_lines, wrap),
]


def chance_mail(number: int) -> bytes:
    """The same mail for the same number, on every machine."""
    rng = random.Random(number)
    raw = rng.choice(CORPUS)
    for _ in range(rng.randint(1, 6)):
        raw = rng.choice(MUTATIONS)(raw or b"\n", rng)[:200_000]
    return raw


def test_mutated_mails_can_be_read() -> None:
    for number in range(500):
        assert_sound(chance_mail(number))


@pytest.mark.soak
@pytest.mark.timeout(MINUTES * 60 + 600)
def test_200_000_mutated_mails_can_be_read() -> None:
    """Two minutes on one core of 2026; a failing number is given to ``chance_mail``."""
    end = time.monotonic() + MINUTES * 60
    for number in range(1_000, 1_000 + CASES):
        raw = chance_mail(number)
        started = time.process_time()
        try:
            assert_sound(raw)
        except Exception as error:
            raise AssertionError(f"mail {number}: {error!r}") from error
        assert time.process_time() - started < HANGS, f"mail {number} takes too long"
        if time.monotonic() > end:
            pytest.fail(f"only {number - 999:,} mails in {MINUTES} minutes")
