"""FETCH answers in every shape that servers give them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kolibri_sdk.mailboxes.imap_answer import read_answers, uid_set


@given(some.lists(some.integers(1, 2000), unique=True).map(sorted))
def test_a_uid_set_names_exactly_these(uids: list[int]) -> None:
    named: list[int] = []
    for part in filter(None, uid_set(uids).split(",")):
        low, _, high = part.partition(":")
        named += range(int(low), int(high or low) + 1)
    assert named == uids


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        (b" 1-May-2026 10:00:00 +0200", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        (b"01-MAY-2026 10:00:00 -0930", datetime(2026, 5, 1, 19, 30, tzinfo=UTC)),
        (b"31-Feb-2026 10:00:00 +0000", None),
        (b"01-Mai-2026 10:00:00 +0000", None),
        (b"01-Jan-0001 00:00:00 +0200", None),
    ],
)
def test_internal_dates(date: bytes, moment: datetime | None) -> None:
    answers = read_answers([b'1 (UID 7 INTERNALDATE "' + date + b'")'])
    assert answers[7].received_at == moment


def test_quoted_bodies_and_nil() -> None:
    answers = read_answers([rb'1 (UID 7 BODY[] "a \"b\" \\ c")', b"2 (UID 8 BODY[] NIL)"])
    assert answers[7].raw == rb'a "b" \ c'
    assert answers[8].raw is None


def test_a_body_cut_short_is_none_at_all() -> None:
    assert read_answers([(b"1 (UID 7 BODY[] {5}", b"hal")]) == {}
    assert read_answers([(b"1 (UID 7 BODY[] {5}", b"hal"), b")"])[7].raw is None


def test_bytes_stay_when_flags_come_again() -> None:
    body = (b"1 (UID 7 FLAGS () BODY[] {2}", b"hi")
    flags = b"1 (UID 7 FLAGS ())"
    assert read_answers([body, b")", flags])[7].raw == b"hi"
    assert read_answers([flags, body, b")"])[7].raw == b"hi"


def test_nothing_came() -> None:
    assert read_answers([None]) == {}
    assert read_answers([]) == {}
