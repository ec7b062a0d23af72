"""Mails made to hurt: limits are told, time stays bounded, nothing is raised."""

from __future__ import annotations

import gc
import re
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kolibri_sdk import clock
from kolibri_sdk.mail import LIMITS, newly_written, parse, parse_mail, plain_twin, sanitise
from kolibri_sdk.mail.html import inline_css
from kolibri_sdk.mail.structure import Part

SECONDS = 2.0


def nested(depth: int) -> bytes:
    opened = "".join(
        f"Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"
        for level in range(depth)
    )
    return f"Subject: deep\n{opened}Content-Type: text/plain\n\nbottom\n".encode()


def with_parts(count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * count + b"--b--\n"


@pytest.mark.parametrize(
    ("raw", "limit"),
    [
        (nested(101), "multiparts within each other"),
        (nested(5_000), "multiparts within each other"),
        (with_parts(1_001), "parts"),
        (with_parts(100_000), "parts"),
        (b"Subject: " + b"x" * (LIMITS.header_bytes + 1) + b"\n\nbody", "bytes of headers"),
        (b"X: y\n" * 60_000 + b"\nbody", "bytes of headers"),
        (b"To: " + b"a@b," * 10_001 + b"\n\nbody", "addresses"),
        (b"".join(b"%s: " % h + b"a@b," * 6_000 + b"\n" for h in (b"To", b"Cc")), "addresses"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_beyond_a_limit_the_rest_is_not_read_and_the_limit_named(raw: bytes, limit: str) -> None:
    mail = parse_mail(raw)
    assert re.match(rf"The mail exceeds the limit of [\d,]+ {limit}; ", mail.incomplete)
    assert any(mail.incomplete.startswith(f"The mail {defect};") for defect in mail.defects)
    assert mail.size == len(raw)


@pytest.mark.parametrize("stumbles", ["read_contents", "read_structure"])
def test_where_the_parser_stumbles_the_headers_are_read_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, stumbles: str
) -> None:
    reader = getattr(parse, stumbles)

    def stumble(part: bytes | Part, *arguments: Any) -> Any:
        if b"the body" in (part if isinstance(part, bytes) else part.raw):
            raise ValueError("ill\ud800")
        return reader(part, *arguments)

    monkeypatch.setattr(parse, stumbles, stumble)
    raw = b"From: Anna <a@b.example>\nSubject: VPN\n\nthe body"

    mail = parse_mail(raw)

    assert mail.incomplete.startswith("The mail meets a fault of the parser (ValueError: ill?); ")
    assert (mail.subject, str(mail.sender), mail.text, mail.size) == (
        *("VPN", "Anna <a@b.example>", "", len(raw)),
    )


def test_a_mail_for_which_there_is_no_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(parse, "read_contents", too_much)
    told = parse_mail(b"Subject: VPN\n\nx").incomplete
    assert told.startswith("The mail needs more memory than there is; at most its headers were")


def test_only_what_the_mail_itself_costs_counts_as_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent = iter([0.0, *[LIMITS.seconds + 1] * 100])
    monkeypatch.setattr(clock.time, "thread_time", lambda: next(spent))
    mail = parse_mail(with_parts(3))
    assert "exceeds the limit of 10.0 seconds of computing" in mail.defects
    monkeypatch.undo()
    monkeypatch.setattr(clock.time, "perf_counter", iter(range(0, 10_000, 60)).__next__)
    assert parse_mail(with_parts(3)).defects == parse_mail(with_parts(2)).defects


def test_where_the_parser_stumbles_over_the_headers_the_mail_is_a_blank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parse, "read_ids", None)
    mail = parse_mail(b"Message-ID: <a@b>\n\nx")
    assert (mail.size, mail.message_id, mail.text) == (20, None, "")
    assert "fault of the parser (TypeError:" in mail.incomplete


def test_a_nested_mail_with_a_long_subject_has_a_name_that_file_systems_take() -> None:
    rocket = "\U0001f680"
    raw = f"Content-Type: message/rfc822\n\nSubject: {rocket * 120}\n\nx".encode()
    (part,) = parse_mail(raw).attachments
    assert part.filename.endswith(f"{rocket}.eml")
    assert 250 < len(part.filename.encode()) <= 255


def test_within_the_limits_everything_is_read() -> None:
    assert parse_mail(nested(99)).text == "bottom\n"
    assert parse_mail(with_parts(999)).text.count("x") == 999
    assert len(parse_mail(b"To: " + b"a@b," * 9_999 + b"\n\nbody").to) == 9_999


HOSTILE = {
    "semicolons": b"Content-Type: text/plain" + b";" * 250_000 + b"\n\nx",
    "parameters": b"Content-Type: text/plain" + b"; a=b" * 50_000 + b"\n\nx",
    "open quotes in a parameter": b'Content-Type: text/plain; a="' + b'\\"' * 120_000 + b"\n\nx",
    "nested comments": b"From: " + b"(" * 120_000 + b")" * 120_000 + b" a@b\n\nx",
    "open comments": b"From: " + b"(a" * 120_000 + b" <a@b>\n\nx",
    "open quotes": b"From: " + b'"\\' * 120_000 + b" <a@b>\n\nx",
    "open angles": b"From: " + b"<" * 250_000 + b"\n\nx",
    "long word": b"From: " + b"a" * 250_000 + b"\n\nx",
    "open encoded-words": b"Subject: " + b"=?a?b?" * 40_000 + b"\n\nx",
    "encoded-words": b"Subject: " + b"=?utf-8?q?a?= " * 18_000 + b"\n\nx",
    "stray lines": b"From: a@b\n" + b"x\n" * 100_000 + b"Subject: y\n\nx",
    "blanks in a header": b"Subject: " + b" " * 250_000 + b"x\n\nx",
    "base64 blocks": b"Content-Transfer-Encoding: base64\n\n" + b"QQ=" * 1_000_000,
    "bounce of one long word": b"From: mailer-daemon@a\nSubject: failure notice\n\n"
    + b"a" * 3_000_000,
    "bounce of blank lines": b"From: mailer-daemon@a\nSubject: failure notice\n\n"
    + b"\n" * 500_000,
    "attributions": b"Subject: Re: x\n\n" + b"On 1. a@b wrote wrote wrote:\n> x\n" * 50_000,
    "boundary-like lines": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--bx\n" * 500_000,
    "html nested": b"Content-Type: text/html\n\n" + b"<div>" * 100_000 + b"x",
    "html attributes": b"Content-Type: text/html\n\n<a "
    + b" ".join(b"a%d=1" % i for i in range(100_000))
    + b">x",
    "html blanks": b"Content-Type: text/html\n\n" + b"<b>" * 600 + b" " * 1_000_000 + b"x",
    "html entities": b"Content-Type: text/html\n\n" + b"&" * 300_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_mail_takes_long(name: str) -> None:
    started = time.process_time()
    mail = parse_mail(HOSTILE[name])
    assert time.process_time() - started < SECONDS
    assert mail.size == len(HOSTILE[name])


@pytest.mark.parametrize("treat", [sanitise, inline_css, plain_twin], ids=lambda f: f.__name__)
def test_html_that_would_kill_the_engines_never_reaches_them(treat: object) -> None:
    assert callable(treat)
    assert "inner" in treat("<div>" * 200_000 + "inner")


@example(["On 1 a@b wrote:", "Von: x", "On 1 a@b wrote:", "> a"])
@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["> a", "On 1 a@b wrote:", "-- ", "", "Von: x", "text", "_" * 30])))
def test_cutting_a_reply_never_invents_and_empties_only_a_quote(lines: list[str]) -> None:
    text = "\n".join(lines)
    written = newly_written(text)
    if not written:
        assert {line for line in lines if line} <= {"> a", "On 1 a@b wrote:"}
    assert {line.strip() for line in written.split("\n")} <= {"", *(line.strip() for line in lines)}


def test_a_mail_that_was_parsed_leaves_nothing_for_the_garbage_collector() -> None:
    raw = nested(5) + b"\n--b4--\n"
    parse_mail(raw)
    gc.collect()
    gc.disable()
    try:
        parse_mail(raw)
        left = gc.collect()
    finally:
        gc.enable()

    assert left == 0, "a circle of objects keeps each mail's bytes"
