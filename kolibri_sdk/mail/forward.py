"""Mails that a person passed on: who wrote the original, to whom, when, about what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kolibri_sdk.mail.addresses import read_addresses
from kolibri_sdk.mail.attribution import attribution_length
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import read_head
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.quoted_date import read_quoted_date
from kolibri_sdk.mail.quoted_head import LEAST_HEADERS, QuotedHead, read_quoted_head
from kolibri_sdk.mail.reply import is_forward_heading
from kolibri_sdk.mail.structure import Part
from kolibri_sdk.model.message import Address, ForwardedMail

__all__ = ["is_forward_subject", "read_forward"]

# Marks of a help desk or a spam filter may stand before the prefix: "[EXTERN] WG: Drucker".
_TAGS = r"\s*(?:\[[^\]]{0,80}\]\s*)*"
_FORWARD = re.compile(
    rf"\s*\[fwd\s*:|{_TAGS}(?:fwd?|wg|tr|rv|vb|enc|doorst|inoltr?a?|i|pd|továbbítva|fs|ilt|vl|转发|轉寄|пересл)"
    r"\s*(?:\[\d+\])?\s*[:：]",
    re.I,
)
_REPLY = re.compile(
    rf"{_TAGS}(?:re|aw|antw?|antwort|sv|r|odp|vs|回复|ответ)\s*(?:\[\d+\])?\s*[:：]", re.I
)
_LINES = 400  # of the text that are looked at for the headers of the original
#: Each of the lines that announce a forward holds one of these.
_STEMS = (
    *("forward", "weiterg", "transf", "transmis", "réexpéd", "reenviad", "encaminhad", "inoltrat"),
    *(
        "doorgest",
        "videres",
        "vidareb",
        "välitet",
        "edelleen",
        "przek",
        "przesł",
        "přepos",
        "prepos",
    ),
    *("tovább", "redirec", "пересыл", "переадрес", "iletilen", "转发", "轉寄", "転送"),
)
_LONGEST = 30_000  # characters that are looked at
_WRITTEN_ADDRESS = re.compile(r"\s*\[(?:mailto|smtp):\s*([^\]\s]+)\]", re.I)
_LINK = re.compile(r"<mailto:[^<>\s]*>", re.I)
_ANGLE = re.compile(r"<\s*([^<>\s]+@[^<>\s]+?)\s*>")
_BARE = re.compile(r"[^\s<>,;:\"()\[\]]+@[^\s<>,;:\"()\[\]]+")


def is_forward_subject(subject: str) -> bool:
    """Whether the subject is that of a mail that was passed on.

    Examples
    --------
    >>> is_forward_subject("WG: Drucker"), is_forward_subject("AW: WG: Drucker")
    (True, False)
    """
    return _FORWARD.match(subject) is not None


def read_forward(root: Part, subject: str, text: str) -> ForwardedMail | None:
    """The original of a mail that was passed on; None where it was not.

    A forward is a mail with another mail attached, or one whose text holds the headers of another
    mail, below the line that mail programs put there or with a subject that says so. An answer to
    a forward is none.

    Parameters
    ----------
    root : Part
        The mail.
    subject, text : str
        Decoded.
    """
    if _REPLY.match(subject):
        return None
    if attached := _attached(root):
        return attached
    named = is_forward_subject(subject)
    top = text[:_LONGEST]
    if top.count(":") + top.count("：") < LEAST_HEADERS:
        return None
    low = "" if named else top.lower()
    if not named and not any(stem in low for stem in _STEMS):
        return None
    block = _block(top.split("\n", _LINES)[:_LINES], named=named)
    return _from_block(block) if block else None


def _attached(root: Part) -> ForwardedMail | None:
    """The first mail that is attached; a digest or a report attaches mails for other reasons."""
    if root.content_type in ("multipart/report", "multipart/digest"):
        return None
    for leaf in root.leaves():
        in_digest = leaf.parent is not None and leaf.parent.content_type == "multipart/digest"
        if leaf.content_type != "message/rfc822" or in_digest:
            continue
        ignored = Defects()
        content = leaf.content(ignored)
        head, _ = read_head(content, 0, len(content), ignored, top=True)
        senders = read_addresses(head.all("from"), ignored)
        to = read_addresses(head.all("to"), ignored)
        if not senders and not head.text("subject"):
            return None
        return ForwardedMail(
            sender=senders[0] if senders else None,
            to=to,
            sent=read_quoted_date(head.first("date")),
            subject=head.text("subject"),
            message_id=next(iter(read_ids(head.all("message-id")[:1])), None),
        )
    return None


def _block(lines: Sequence[str], *, named: bool) -> QuotedHead | None:
    """The headers of the original, unless the mail quotes something else before."""
    for position, line in enumerate(lines):
        if is_forward_heading(line):
            return next(_blocks(lines, position + 1, 6), None)
        if named and (block := read_quoted_head(lines, position)):
            return block
        if not named and line and (attribution_length(lines, position) or _quotes(lines, position)):
            return None
    return None


def _quotes(lines: Sequence[str], position: int) -> bool:
    return read_quoted_head(lines, position) is not None


def _blocks(lines: Sequence[str], position: int, reach: int) -> Iterator[QuotedHead]:
    for start in range(position, min(position + reach, len(lines))):
        if block := read_quoted_head(lines, start):
            yield block


def _from_block(block: QuotedHead) -> ForwardedMail:
    values = block.values
    people = tuple(_people(values.get("to", "")))
    return ForwardedMail(
        sender=_person(values["from"]),
        to=people,
        sent=read_quoted_date(values.get("sent", "")),
        subject=values.get("subject", ""),
        message_id=next(iter(read_ids([values.get("message_id", "")])), None),
    )


def _people(value: str) -> Iterator[Address]:
    """The recipients; Outlook separates them by semicolons, the others by commas."""
    separated = value.split(";") if ";" in value else _split(value)
    for one in separated:
        if person := _person(one):
            yield person


def _split(value: str) -> list[str]:
    """At commas that end an entry; "Kühn, Anna" holds one that does not."""
    if "@" not in value:
        return [value]
    return re.split(r"(?<=>),\s*|(?<=\.[a-z]{2}),\s*|(?<=\.[a-z]{3}),\s*", value)


def _person(value: str) -> Address | None:
    """One person, as mail programs show him: with an address, or by name alone."""
    value = _LINK.sub("", _WRITTEN_ADDRESS.sub(r" <\1>", value))
    found = _ANGLE.search(value) or _BARE.search(value)
    if not found:
        name = _name(value)
        return Address("", name) if name else None
    address = found[1] if found.re is _ANGLE else found[0]
    name = _name(value.replace(found[0], " ", 1))
    return Address(address, "" if name.lower() == address.lower() else name)


def _name(text: str) -> str:
    return " ".join(text.split()).strip("\"'<>[]()*, ")
