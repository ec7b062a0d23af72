"""The carriers of a token: Message-ID, References, plus-address, body marker, subject tag (S12)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from html import escape
from itertools import islice

from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference.token import TAG_LENGTH

__all__ = [
    "Found",
    "body_marker",
    "broken_markers_in",
    "ids_of_tokens",
    "message_id",
    "numbers_in",
    "plus_address",
    "tagged_subject",
    "tags_in",
    "thread_id",
    "tokens_in",
]

_LONGEST_LOCAL_PART = 64
_PREFIX = "kr1"
_PREFIXES = ("kr1", "KR1", "Kr1", "kR1")
_TOKEN = r"[a-z2-7]{40,150}"  # noqa: S105 - a pattern
# A gateway may put its own words around a Message-ID, or cut its end off.
_MESSAGE_ID = re.compile(rf"(?<![a-z0-9]){_PREFIX}\.({_TOKEN})(?:\.r)?(?:@([^\s<>]+)|$)", re.I)
# Behind the token stands @, or = where the sender was rewritten (VERP, SRS); + may be %2B.
_PLUS = re.compile(rf"([^\s<>,;:+%]{{1,64}})(?:\+|%2b)({_TOKEN})([@=][^\s<>,;]*)", re.I)
_COLON = r"(?::|%3a|&#58;|&#x3a;|&colon;)"
_MARKER = re.compile(rf"\b{_PREFIX}{_COLON}({_TOKEN})(?![a-z0-9])", re.I)
_BROKEN_MARKER = re.compile(rf"\b{_PREFIX}{_COLON}", re.I)
# What programs put into a long word: line ends with quoting signs, soft hyphens, <wbr>.
_BREAKS = re.compile(
    r"(?:<wbr\s*/?>|<br\s*/?>|&(?:shy|zwnj|zwj|nbsp|gt|\#8203|\#173|\#xad|\#x200b);"
    r"|=\r?\n|[\s>|\u00ad\u200b-\u200f\u2060\ufeff])+",
    re.I,
)
_RUN = re.compile(r"[a-z2-7]{40,150}", re.I)
_TAG = re.compile(rf"\[\s*([^\[\]]{{1,60}}?)\s+([a-z2-7]{{{TAG_LENGTH}}})\s*\]", re.I)
# Without its brackets, as some programs clean subjects; the number then has to hold a digit.
_BARE_TAG = re.compile(
    rf"(?<![\w/.#-])([\w/.#-]{{0,40}}\d[\w/.#-]{{0,40}})\s+([a-z2-7]{{{TAG_LENGTH}}})(?!\w)", re.I
)
# Both hold this; looking for it first is ten times as fast.
_TAG_WORD = re.compile(rf"\s[a-z2-7]{{{TAG_LENGTH}}}(?!\w)", re.I)
_NUMBER = re.compile(r"(?<![\w-])[a-z]{2,10}-\d{1,12}(?![\w-])", re.I)
_SEARCHED = 200_000  #: characters of a body that are searched for a marker
_SUBJECT = 2_000  #: characters of a subject, or of an address header, that are searched
_MOST_NAMES = 10  #: tags and numbers of one subject that are looked up
_MOST_IDS = 20
_MOST_BROKEN = 5  #: broken markers of one mail that are pieced together
_LONGEST_RUN = 400
_DELIVERED = frozenset(
    {
        *("delivered-to", "x-delivered-to", "x-original-to", "original-recipient"),
        *("envelope-to", "x-envelope-to", "x-rcpt-to", "apparently-to", "resent-to"),
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A token as it was met, and by which carrier."""

    token: str
    carrier: str
    ours: bool  #: it names a mailbox or a domain of ours, so a wrong signature is a forgery


def message_id(token: str, domain: str) -> str:
    """The Message-ID that carries the token, without angle brackets (RFC 5322 section 3.6.4)."""
    return f"{_PREFIX}.{token}@{domain}"


def thread_id(own_id: str) -> str | None:
    """A second id with the token of this Message-ID, for References; None where it has no token.

    A relay that writes a Message-ID of its own leaves References alone, and so does the reply.

    Examples
    --------
    >>> token = "a" * 52
    >>> thread_id(f"kr1.{token}@x.example") == f"kr1.{token}.r@x.example"
    True
    """
    found = _MESSAGE_ID.fullmatch(own_id)
    return f"{_PREFIX}.{found[1]}.r@{found[2]}" if found else None


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


def tokens_in(message: StoredMessage, own: Collection[str] = ()) -> Iterator[Found]:
    """Every token that the message carries, wherever it stands; of a thread the newest first.

    Parameters
    ----------
    message : StoredMessage
        A mail that came in.
    own : collection of str
        The addresses of our mailboxes, lower case.
    """
    domains = {address.rpartition("@")[2] for address in own}
    for name in (*message.in_reply_to, *reversed(message.references)):
        if hit := _MESSAGE_ID.search(name):
            yield Found(hit[1].lower(), "references", (hit[2] or "").lower() in domains)
    for address in _addressed(message):
        for hit in _PLUS.finditer(address) if "+" in address or "%" in address else ():
            whole = f"{hit[1]}{hit[3]}".lower()
            yield Found(hit[2].lower(), "address", whole in own)
    for body in filter(_mentions_prefix, (message.text, message.html or "")):
        for hit in _MARKER.finditer(body[:_SEARCHED]):
            yield Found(hit[1].lower(), "body", ours=False)


def ids_of_tokens(message: StoredMessage, mailbox: Mailbox) -> list[str]:
    """The Message-IDs of ours that the tokens in a message belong to, true or not, each once."""
    domain = mailbox.address.rpartition("@")[2]
    found = islice(tokens_in(message, mailbox.own_addresses), _MOST_IDS)
    return list(dict.fromkeys(message_id(one.token, domain) for one in found))


def broken_markers_in(message: StoredMessage) -> Iterator[str]:
    """What the token of a marker may be that a program has broken over lines, or into pieces.

    Where the token ends, only its signature tells; so every length that it can have is given.
    """
    for body in filter(_mentions_prefix, (message.text, message.html or "")):
        for hit in islice(_BROKEN_MARKER.finditer(body[:_SEARCHED]), _MOST_BROKEN):
            rest = body[hit.end() : hit.end() + _LONGEST_RUN]
            run = _RUN.match(_BREAKS.sub("", rest))
            for length in range(40, len(run[0]) + 1 if run else 0):
                if length % 8 in {0, 2, 4, 5, 7}:  # RFC 4648 section 6: the others cannot be
                    assert run is not None
                    yield run[0][:length].lower()


def tags_in(message: StoredMessage) -> list[tuple[str, str]]:
    """Every pair (number, tag) in the subject."""
    subject = message.subject[:_SUBJECT]
    if not _TAG_WORD.search(subject):
        return []
    hits = [*_TAG.finditer(subject), *_BARE_TAG.finditer(subject)]
    pairs = dict.fromkeys((" ".join(hit[1].split()), hit[2].lower()) for hit in hits)
    return list(pairs)[:_MOST_NAMES]


def numbers_in(message: StoredMessage) -> list[str]:
    """Bare record numbers in the subject: a hint, no proof."""
    subject = message.subject[:_SUBJECT]
    return list(dict.fromkeys(_NUMBER.findall(subject) if "-" in subject else ()))[:_MOST_NAMES]


def _mentions_prefix(body: str) -> bool:
    # A search that minds no case takes a hundred times as long as looking for these.
    return any(prefix in body for prefix in _PREFIXES)


def _addressed(message: StoredMessage) -> Iterator[str]:
    yield from (person.address for person in (*message.to, *message.cc))
    for name, value in message.headers:
        if name.lower() in _DELIVERED:
            yield value[:_SUBJECT]
