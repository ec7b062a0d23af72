"""The four carriers of a token: Message-ID, plus-address, body marker, subject tag (S12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference.token import TAG_LENGTH

__all__ = [
    "Found",
    "body_marker",
    "message_id",
    "numbers_in",
    "plus_address",
    "tagged_subject",
    "tags_in",
    "tokens_in",
]

_LONGEST_LOCAL_PART = 64
_PREFIX = "kr1"
_TOKEN = r"[a-z2-7]{40,150}"  # noqa: S105 - a pattern
_MESSAGE_ID = re.compile(rf"^{_PREFIX}\.({_TOKEN})@", re.IGNORECASE)
_PLUS = re.compile(rf"\+({_TOKEN})@", re.IGNORECASE)
_MARKER = re.compile(rf"\b{_PREFIX}:({_TOKEN})\b", re.IGNORECASE)
_TAG = re.compile(rf"\[([^\[\]\s]{{1,40}}) ([a-z2-7]{{{TAG_LENGTH}}})\]", re.IGNORECASE)
_NUMBER = re.compile(r"\b[A-Z]{2,10}-\d{1,12}\b")
_SEARCHED = 200_000  #: characters of a body that are searched for a marker


@dataclass(frozen=True, slots=True)
class Found:
    """A token as it was met, and by which carrier."""

    token: str
    carrier: str


def message_id(token: str, domain: str) -> str:
    """The Message-ID that carries the token, without angle brackets (RFC 5322 section 3.6.4)."""
    return f"{_PREFIX}.{token}@{domain}"


def plus_address(token: str, mailbox: Mailbox) -> str | None:
    """The reply address that carries the token; None where the mailbox has none or it is too long.

    Sub-addressing is described in RFC 5233.
    """
    local, _, domain = mailbox.address.rpartition("@")
    if not mailbox.plus_addressing or len(local) + 1 + len(token) > _LONGEST_LOCAL_PART:
        return None
    return f"{local}+{token}@{domain}"


def body_marker(token: str) -> str:
    """HTML that carries the token unseen at the end of a body."""
    style = "display:none;font-size:0;line-height:0;max-height:0;overflow:hidden"
    return f'<div style="{style}" aria-hidden="true">{escape(f"{_PREFIX}:{token}")}</div>'


def tagged_subject(subject: str, number: str, tag: str) -> str:
    """The subject with its tag in front, once.

    Examples
    --------
    >>> tagged_subject("Printer", "INC-000007", "k7x9q2m4xw")
    '[INC-000007 k7x9q2m4xw] Printer'
    """
    mark = f"[{number} {tag}]"
    return subject if mark in subject else f"{mark} {subject}"


def tokens_in(message: StoredMessage) -> Iterator[Found]:
    """Every token that the message carries, wherever it stands; of a thread the newest first."""
    for name in (*message.in_reply_to, *reversed(message.references)):
        if hit := _MESSAGE_ID.match(name):
            yield Found(hit[1].lower(), "references")
    for address in _addressed(message):
        if hit := _PLUS.search(address):
            yield Found(hit[1].lower(), "address")
    for body in (message.text, message.html or ""):
        # A search that minds no case takes a hundred times as long as looking for three letters.
        if "r1:" in body or "R1:" in body:
            for hit in _MARKER.finditer(body[:_SEARCHED]):
                yield Found(hit[1].lower(), "body")


def tags_in(message: StoredMessage) -> Iterator[tuple[str, str]]:
    """Every pair (number, tag) in the subject."""
    for hit in _TAG.finditer(message.subject):
        yield hit[1], hit[2].lower()


def numbers_in(message: StoredMessage) -> list[str]:
    """Bare record numbers in the subject: a hint, no proof."""
    return _NUMBER.findall(message.subject)


def _addressed(message: StoredMessage) -> Iterator[str]:
    yield from (person.address for person in (*message.to, *message.cc))
    for name, value in message.headers:
        if name.lower() in {"delivered-to", "x-original-to", "envelope-to"}:
            yield value
