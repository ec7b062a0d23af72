"""A mail is recognised in whichever mailbox format it lies, and no other is taken for it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kolibri_sdk.mail import content_key, content_names

SENT = b"From: anna@customer.example\r\nSubject: VPN\r\n\r\nFrom now on: nothing.\r\n\r\nAnna\r\n"


@pytest.mark.parametrize(
    "copy",
    [
        SENT.replace(b"\r\n", b"\n"),
        SENT + b"\r\n",
        SENT.rstrip(b"\r\n"),
        SENT.replace(b"From now", b">From now"),
        b"Status: RO\r\nX-UID: 7\r\n" + SENT,
        SENT.replace(b"Subject", b"X-Keywords: a\r\n b\r\nSubject"),
        b"X-Mozilla-Status: 0001\nX-Mozilla-Status2: 00000000\n" + SENT.replace(b"\r\n", b"\n"),
        SENT.replace(b"Subject", b"content-length: 33\nSubject").replace(b"\r\n", b"\n"),
        SENT.replace(b"\r\nAnna", b"\nAnna"),
    ],
)
def test_a_copy_is_the_same_mail(copy: bytes) -> None:
    assert content_key(copy) == content_key(SENT)


@pytest.mark.parametrize(
    "other",
    [
        SENT.replace(b"VPN", b"vpn"),
        SENT.replace(b"nothing.", b"nothing. "),
        SENT.replace(b"\r\n\r\nAnna", b"\r\nAnna"),
        SENT.replace(b"Subject", b"X-Note: a\r\nSubject"),
        SENT.replace(b"From now on", b"> From now on"),
        SENT.replace(b"Anna\r\n", b"Status: RO\r\nAnna\r\n"),
        b"",
    ],
)
def test_another_mail_is_another(other: bytes) -> None:
    assert content_key(other) != content_key(SENT)


@given(st.text(alphabet="a\r\n>: ", max_size=40), st.sampled_from(["", "Status: RO\r\n", "a\n"]))
def test_the_two_names_of_a_mail_are_those_that_each_has_alone(text: str, head: str) -> None:
    for raw in (text.encode(), f"Subject: x\r\n{head}\r\nFrom a\r\n>From {text}".encode()):
        assert content_names(raw) == (content_key(raw), hashlib.sha256(raw).hexdigest())
