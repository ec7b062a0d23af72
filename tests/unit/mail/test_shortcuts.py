"""What is read on a short way is what the long way gives: on whole mails, sound and damaged."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolibri_sdk.mail import addresses, dates, head, parse_mail, reply, transfer, words
from kolibri_sdk.mail.addresses import read_addresses
from kolibri_sdk.mail.dates import read_date
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.parameters import split_parameters
from kolibri_sdk.mail.signature import is_device_line
from kolibri_sdk.mail.transfer import from_base64
from kolibri_sdk.mail.words import decode_words
from tests.benchmarks.corpus import mails

CORPUS = Path(__file__).parents[2] / "corpus"
SHORTCUTS = [
    (head, "_plain_block"),
    (addresses, "_plain_list"),
    (dates, "_plain"),
    (transfer, "_regular"),
]


@contextmanager
def the_long_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for module, name in SHORTCUTS:
            patched.setattr(module, name, lambda *_: None)
        yield


def assert_same(raw: bytes) -> None:
    short = parse_mail(raw)
    with the_long_way():
        assert parse_mail(raw) == short


def test_the_mails_of_the_corpus() -> None:
    files = sorted(CORPUS.rglob("*.eml"))
    assert len(files) > 20
    for file in files:
        assert_same(file.read_bytes())


def test_mails_as_programs_write_them_are_read_on_the_short_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = {name: 0 for _, name in SHORTCUTS}
    for module, name in SHORTCUTS:
        original = getattr(module, name)

        def counted(*given: object, original=original, name=name):  # type: ignore[no-untyped-def]
            found = original(*given)
            taken[name] += found is not None
            return found

        monkeypatch.setattr(module, name, counted)
    for raw in mails(100):
        assert_same(raw)
    assert taken["_plain_block"] > 150
    assert taken["_plain"] == 100
    assert taken["_plain_list"] > 150
    assert taken["_regular"] > 30


@pytest.mark.parametrize("seed", range(8))
def test_mails_damaged_at_random_places(seed: int) -> None:
    dice = random.Random(seed)
    marks = [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"=", b"=?", b"?=", b"\x00", b"\xfc", b"<"]
    marks += [b">", b",", b'"', b"(", b"\r\n\r\n", b"\r\n ", b"--", b";", b"@", b"From: a@b\r\n"]
    for raw in mails(60, seed=seed):
        short = raw[:6_000] if len(raw) > 6_000 else raw
        damaged = bytearray(short)
        for _ in range(dice.randint(1, 6)):
            position = dice.randrange(min(len(damaged), 2_500))
            length = dice.choice((0, 0, 1, 3))
            damaged[position : position + length] = dice.choice(marks)
        assert_same(bytes(damaged))


LINES = st.lists(
    st.sampled_from(
        [
            *(b"From: A <a@b>", b"To: a@b", b"Subject: x", b"X : y", b" folded", b"\tfolded"),
            *(b"", b" ", b"no header", b"X-\xfc: y", b"A:\r", b"B:\x00"),
            b"Date: Mon, 5 Jan 2026 08:00:00 +0100",
        ]
    ),
    max_size=8,
)


@given(LINES, st.lists(st.sampled_from([b"\r\n", b"\n", b"\r"]), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_header_blocks_with_all_sorts_of_lines(lines: list[bytes], ends: list[bytes]) -> None:
    raw = b"".join(line + ends[number % len(ends)] for number, line in enumerate(lines))
    assert_same(raw)
    assert_same(raw + b"\r\nbody")


@given(st.binary(max_size=300), st.integers(1, 100), st.data())
@settings(max_examples=500, deadline=None)
def test_base64_in_lines_of_any_length(content: bytes, width: int, data: st.DataObject) -> None:
    encoded = base64.b64encode(content)
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r", b" \r\n"]))
    cut = [encoded[i : i + width] for i in range(0, len(encoded), width)]
    written = end.join(cut) + data.draw(st.sampled_from([b"", end, end * 3, b"*", b"=", b"A"]))
    at = data.draw(st.integers(0, len(written)))
    written = (
        written[:at] + data.draw(st.sampled_from([b"", b"", b"\n", b"*", b"="])) + written[at:]
    )
    assert _both_ways(written)[0] == _both_ways(written)[1]


@given(st.text(alphabet="QRA=\r\n*", max_size=40))
@settings(max_examples=1_000, deadline=None)
def test_base64_of_few_characters(text: str) -> None:
    short, long = _both_ways(text.encode())
    assert short == long


def _both_ways(data: bytes) -> tuple[object, object]:
    short, long = Defects(), Defects()
    found = from_base64(data, short)
    with the_long_way():
        return (found, short.found), (from_base64(data, long), long.found)


@given(st.text(alphabet="ab <>@.\"',:;()\\?=_\t", max_size=30))
@settings(max_examples=1_000, deadline=None)
def test_addresses_of_any_form(text: str) -> None:
    for value in (text, f"Anna <{text}>", f"{text} <a@b>", f"=?utf-8?q?{text}?= <a@b>"):
        short, long = Defects(), Defects()
        found = read_addresses([value], short)
        with the_long_way():
            assert (read_addresses([value], long), long.found) == (found, short.found)


@given(
    st.from_regex(r"\A(Mon, )?[0-3]?\d (Feb|Jun) [12]\d{3} \d\d:\d\d:\d\d [+-]\d{4}( \(CET\))?\Z")
)
@settings(max_examples=500, deadline=None)
def test_dates_of_any_number(text: str) -> None:
    short, long = Defects(), Defects()
    found = read_date(text, short)
    with the_long_way():
        assert (read_date(text, long), long.found) == (found, short.found)


LINES_OF_A_REPLY = [
    *(
        "Hallo,",
        "",
        "Am 1. Mai 2026 schrieb Anna:",
        "> ja",
        "Von: Anna",
        "An: Bo",
        "Gesendet: 1.5.",
    ),
    *("seit 2026", "12345", "1234", "123", "x 12 34", "a@b.example", "für 10:30", "-- ", "Anna"),
    *(
        "\u0661\u0662\u0663\u0664",
        "2026年5月1日",
        "差出人：Anna",
        "von meinem iPhone gesendet",
        "²³¹²",
    ),
]


def assert_marks_are_found(text: str) -> None:
    lines = text.split("\n")
    held = {number for number, line in enumerate(lines) if re.search(r"[:：@年]|\d{4}", line)}
    assert set(reply._marked(text)) == held
    symbols = re.compile(r"[^\S\n]*[>|_=*~#(<\[\u2014\u2013-]")
    begun = {number for number, line in enumerate(lines) if symbols.match(line)}
    found = set(reply._candidates(text, lines))
    assert held | begun <= found
    assert all(is_device_line(lines[number]) for number in found - held - begun)


@given(st.lists(st.sampled_from(LINES_OF_A_REPLY), max_size=12))
@settings(max_examples=1_000, deadline=None)
def test_replies_of_all_sorts_of_lines(lines: list[str]) -> None:
    assert_marks_are_found("\n".join(lines))


@given(st.text(alphabet="1٣²:：@年aŁ–\ud800\n\r\x85 >", max_size=40))
@settings(max_examples=1_000, deadline=None)
def test_marks_in_any_text(text: str) -> None:
    assert_marks_are_found(text)


@given(st.text(alphabet="=?qb_ ()<>@.;*\"'", max_size=30))
@settings(max_examples=500, deadline=None)
def test_only_the_words_of_a_header_are_decoded(text: str) -> None:
    for value in (text, f"=?utf-8?q?{text}?=", f"a =?x-none?b?{text}?= b"):
        short = Defects()
        decoded = decode_words(value, short)
        assert words._decode_all(value) == (decoded, short.found)


@given(st.text(alphabet="; =\"\\abAB*0'%", max_size=40))
@settings(max_examples=1_000, deadline=None)
def test_parameters_of_any_form(text: str) -> None:
    """A continued parameter before the others makes them be read on the long way."""
    short, long = Defects(), Defects()
    main, found = split_parameters(f"x/y; {text}", short)
    again = split_parameters(f"x/y; zz*0=1; {text}", long)
    assert again == (main, {**found, "zz": "1"})
    assert long.found == short.found
