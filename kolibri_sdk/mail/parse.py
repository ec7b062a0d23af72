"""Bytes of a mail to a value: the one entry of the parser."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from kolibri_sdk.mail.addresses import read_addresses
from kolibri_sdk.mail.authentication import read_authentication
from kolibri_sdk.mail.automatic import kind_of
from kolibri_sdk.mail.bounce import read_bounces
from kolibri_sdk.mail.charset import clean
from kolibri_sdk.mail.contents import Contents, read_contents
from kolibri_sdk.mail.dates import read_date
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.forward import is_forward_subject, read_forward
from kolibri_sdk.mail.head import Head
from kolibri_sdk.mail.html_quote import text_with_quote_marks
from kolibri_sdk.mail.ids import read_ids
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.reply import newly_written
from kolibri_sdk.mail.structure import read_structure
from kolibri_sdk.model.message import Address, ParsedMail

__all__ = ["parse_mail"]


def parse_mail(raw: bytes, *, trusted_authserv: Collection[str] = ()) -> ParsedMail:
    r"""Read a mail (RFC 5322, MIME), however broken it is.

    Parameters
    ----------
    raw : bytes
        The mail as the server gave it.
    trusted_authserv : collection of str
        Servers whose Authentication-Results count; without any, nobody's do.

    Returns
    -------
    ParsedMail
        What is wrong with the mail is listed in ``defects``. No text in it holds NUL or a lone
        surrogate. Of a mail that exceeds one of `LIMITS`, what lies within it: ``incomplete``
        says so. Nothing is ever raised: of a mail over which the parser itself stumbles, the
        headers; ``incomplete`` says so, too.

    Examples
    --------
    >>> mail = parse_mail(b"From: Anna <anna@example.org>\r\nSubject: VPN\r\n\r\nHelp!\r\n")
    >>> mail.subject, str(mail.sender), mail.reply_text
    ('VPN', 'Anna <anna@example.org>', 'Help!')
    """
    try:
        return _read(raw, trusted_authserv)
    except Exception as error:  # noqa: BLE001 - a stranger's bytes must not stop everybody's mail
        return _headers_alone(raw, error, trusted_authserv)


def _read(raw: bytes, trusted_authserv: Collection[str]) -> ParsedMail:
    defects = Defects()
    root = read_structure(_with_newlines(raw, defects), defects)
    head = root.head
    if head.charset is None:  # what raw 8-bit headers are in, if not in UTF-8, the texts tell
        head.charset = next(
            (c for part in root.leaves() if (c := part.parameters.get("charset"))), None
        )
    contents = read_contents(root, defects)
    subject = head.text("subject")
    addresses = _read_all_addresses(head, defects)
    message_ids = read_ids(head.all("message-id")[:1])
    if not message_ids:
        defects.note("no Message-ID")
    own = frozenset(a.address.lower() for name in ("from", "to") for a in addresses[name])
    bounces = read_bounces(root, subject, contents.text, own)
    forwarded = read_forward(root, subject, contents.text) if bounces is None else None
    return ParsedMail(
        size=len(raw),
        message_id=message_ids[0] if message_ids else None,
        in_reply_to=read_ids(head.all("in-reply-to")),
        references=read_ids(head.all("references")),
        from_=addresses["from"] or _substitute(head, addresses, defects),
        reply_to=addresses["reply-to"],
        to=addresses["to"],
        cc=addresses["cc"],
        bcc=addresses["bcc"],
        return_path=_return_path(head),
        subject=subject,
        sent_at=read_date(head.first("date"), defects),
        text=contents.text,
        html=contents.html,
        text_from_html=contents.text_from_html,
        reply_text=_news(contents, whole=forwarded is not None or is_forward_subject(subject)),
        headers=_headers(head),
        attachments=contents.attachments,
        kind=kind_of(root, subject, bounce=bounces is not None),
        bounces=bounces or (),
        forwarded=forwarded,
        authentication=read_authentication(head, trusted_authserv),
        defects=defects.found,
        incomplete=_incomplete(defects),
    )


_BLANK_LINE = re.compile(rb"\n\r?\n|\r\r")


def _headers_alone(raw: bytes, error: Exception, trusted_authserv: Collection[str]) -> ParsedMail:
    """What a mail's headers tell, or nothing, where the parser has a fault."""
    if isinstance(error, MemoryError):
        told = "The mail needs more memory than there is"
    else:
        told = f"The mail meets a fault of the parser ({type(error).__name__}: {error})"
        told = clean(told.encode("utf-8", "replace").decode())[:300] + "; please report it"
    blank = _BLANK_LINE.search(raw)
    mail = ParsedMail(size=len(raw))
    with suppress(Exception):
        mail = _read(raw[: blank.end() if blank else len(raw)], trusted_authserv)
    return replace(
        mail,
        size=len(raw),
        defects=(*mail.defects, "could not be read beyond its headers"),
        incomplete=f"{told}; at most its headers were read. Its raw bytes are kept; read them in a "
        "mail program",
    )


_ADDRESS_HEADERS = ("from", "sender", "reply-to", "to", "cc", "bcc")


#: Headers of ours mean nothing on a mail that comes in: anybody can write them.
_OURS = "x-kolibri-"


def _headers(head: Head) -> tuple[tuple[str, str], ...]:
    if not head.any_begins(_OURS):
        return tuple(head.decoded())
    return tuple(field for field in head.decoded() if not field[0].lower().startswith(_OURS))


def _news(contents: Contents, *, whole: bool) -> str:
    """What is new to the receiver: of a reply what was written anew, of a forward all of it."""
    if whole:
        return contents.text.strip()
    if (
        contents.text_from_html
        and contents.html
        and (marked := text_with_quote_marks(contents.html))
    ):
        # A mail of which nothing but quote marks is left holds its answers within the quote.
        return _cut(marked).strip("> \n") or _cut(contents.text)
    return _cut(contents.text)


def _cut(text: str) -> str:
    top = text[: LIMITS.reply_characters]
    written = newly_written(top)
    # Where nothing was cut off the top of a very long text, what lies below is the sender's, too.
    return text.strip() if len(top) < len(text) and written == top.strip() else written


def _incomplete(defects: Defects) -> str:
    return (
        f"The mail {defects.exceeded}; the rest was not read. "
        "Its raw bytes are kept; read them in a mail program"
        if defects.exceeded
        else ""
    )


def _with_newlines(raw: bytes, defects: Defects) -> bytes:
    """Mail with carriage returns alone, as old Macs wrote it, has no lines otherwise."""
    if b"\n" in raw or b"\r" not in raw:
        return raw
    defects.note("lines end with a bare carriage return")
    return raw.replace(b"\r", b"\n")


def _read_all_addresses(head: Head, defects: Defects) -> dict[str, tuple[Address, ...]]:
    found: dict[str, tuple[Address, ...]] = {}
    for name in _ADDRESS_HEADERS:
        values = head.all(name)
        if not values:
            found[name] = ()
            continue
        if name == "from" and len(values) > 1:
            defects.note("more than one From header; the first with an address counts")
            values = [v for v in values if read_addresses([v], Defects())][:1] or values[:1]
        found[name] = read_addresses(
            values, defects, LIMITS.addresses - sum(map(len, found.values()))
        )
    return found


def _substitute(
    head: Head, addresses: dict[str, tuple[Address, ...]], defects: Defects
) -> tuple[Address, ...]:
    """Who wrote a mail whose From is missing or empty."""
    for name in ("sender", "reply-to"):
        if addresses[name]:
            defects.note(f"no From; taken from {name.title()}")
            return addresses[name][:1]
    if return_path := _return_path(head):
        defects.note("no From; taken from Return-Path")
        return (Address(return_path),)
    defects.note("no From")
    return ()


def _return_path(head: Head) -> str | None:
    if "return-path" not in head:
        return None
    found = read_addresses(head.all("return-path")[:1], Defects())
    return found[0].address if found else ""
