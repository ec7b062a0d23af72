"""A draft to the bytes of a mail that any server takes and no field can break out of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from kolibri_sdk.clock import utc
from kolibri_sdk.errors import PermanentSendError
from kolibri_sdk.mail.filenames import fallback_name, safe_name
from kolibri_sdk.mail.outgoing_headers import (
    address_list,
    header,
    id_list,
    one_line,
    unstructured,
)
from kolibri_sdk.model.message import Address, Attachment

__all__ = ["Draft", "compose"]

_POLICY = SMTP.clone(cte_type="7bit", max_line_length=76)
_RESERVED = frozenset(
    {
        *("message-id", "date", "from", "sender", "to", "cc", "bcc", "subject", "reply-to"),
        *("in-reply-to", "references", "mime-version", "return-path", "received"),
    }
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONTENT_TYPE = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]{0,60})/([a-z0-9][a-z0-9!#$&^_.+-]{0,60})")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~.@-]{1,200}")
_MOST_REFERENCES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mail before it has bytes.

    Parameters
    ----------
    message_id : str
        Without angle brackets; minted when the mail is queued, so that a resend is recognised.
    sender, to, cc, reply_to
        What the headers show. Who gets the mail is the envelope's business: Bcc is never written.
    date : datetime
        Aware.
    text, html : str
        With both, the mail offers them as alternatives (RFC 2046 section 5.1.4).
    in_reply_to, references : str
        Message-IDs without angle brackets.
    attachments : tuple of Attachment
        Those that are ``inline`` with a ``content_id`` go beside the HTML (RFC 2387).
    headers : tuple of (name, value)
        Further ones, such as Auto-Submitted.
    """

    message_id: str
    sender: Address
    to: tuple[Address, ...]
    date: datetime
    cc: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    html: str | None = None
    reply_to: Address | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def compose(draft: Draft) -> bytes:
    r"""Write the draft as a mail (RFC 5322, MIME): CRLF, ASCII, no line over 998 bytes.

    Line breaks and other control characters in subject, names and further headers become blanks.

    Raises
    ------
    PermanentSendError
        When an address or the Message-ID cannot stand in a header as it is.
    ValueError
        When a further header has no valid name, or one that the draft has a field for; when the
        date is naive.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> draft = Draft(message_id="1@kolibri.example", sender=Address("a@kolibri.example"),
    ...               to=(Address("b@x.example"),), date=datetime(2026, 5, 1, tzinfo=UTC),
    ...               subject="Hi\r\nBcc: c@x.example", text="Hello")
    >>> b"\r\nBcc:" in compose(draft)
    False
    """
    return _head(draft).encode("ascii") + _body(draft).as_bytes(policy=_POLICY)


def _head(draft: Draft) -> str:
    message_id = id_list("Message-ID", [draft.message_id])
    if not message_id:
        raise PermanentSendError(
            f"{one_line(draft.message_id)[:100]!r} cannot be a Message-ID",
            "Give it as LEFT@RIGHT, without angle brackets",
        )
    return "".join(
        [
            message_id,
            header("Date", format_datetime(utc(draft.date))),
            address_list("From", [draft.sender]),
            address_list("To", draft.to) if draft.to else "",
            address_list("Cc", draft.cc) if draft.cc else "",
            address_list("Reply-To", [draft.reply_to]) if draft.reply_to else "",
            unstructured("Subject", draft.subject),
            id_list("In-Reply-To", [draft.in_reply_to] if draft.in_reply_to else []),
            id_list("References", _shortened(draft.references)),
            *(_further(name, value) for name, value in draft.headers),
        ]
    )


def _further(name: str, value: str) -> str:
    if name.lower() in _RESERVED or name.lower().startswith("content-"):
        raise ValueError(f"the header {name} is written from the draft's own fields; leave it out")
    return unstructured(name, value)


def _shortened(references: tuple[str, ...]) -> tuple[str, ...]:
    """The first reference and the latest: the ones by which programs find the thread."""
    if len(references) <= _MOST_REFERENCES:
        return references
    return (references[0], *references[1 - _MOST_REFERENCES :])


def _body(draft: Draft) -> EmailMessage:
    """The MIME tree; its headers follow those of the mail."""
    message = EmailMessage(policy=_POLICY)
    message["MIME-Version"] = "1.0"
    message.set_content(_tidy(draft.text), subtype="plain", charset="utf-8", cte="quoted-printable")
    beside = [a for a in draft.attachments if draft.html is not None and a.inline and a.content_id]
    if draft.html is not None:
        message.add_alternative(
            _tidy(draft.html), subtype="html", charset="utf-8", cte="quoted-printable"
        )
        html_part = message.get_payload()[-1]  # type: ignore[index]
        assert isinstance(html_part, EmailMessage)
        for attachment in beside:
            _add(html_part, attachment, related=True)
    for attachment in draft.attachments:
        if attachment not in beside:
            _add(message, attachment, related=False)
    _mark_boundaries(message, draft.message_id)
    return message


def _mark_boundaries(message: EmailMessage, message_id: str) -> None:
    """The same draft gives the same bytes; ``=_`` occurs in neither transfer encoding."""
    seed = sha256(message_id.encode("utf-8", "replace")).hexdigest()[:24]
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{seed}_{number}")


def _add(message: EmailMessage, attachment: Attachment, *, related: bool) -> None:
    # A mail within a mail may not be base64 (RFC 2046 section 5.2.1), and its lines are not ours to
    # change: it travels as a file.
    found = _CONTENT_TYPE.fullmatch(attachment.content_type.lower())
    kind = found.groups() if found else ("application", "octet-stream")
    main, sub = ("application", "octet-stream") if kind[0] in ("message", "multipart") else kind
    add = message.add_related if related else message.add_attachment
    add(
        attachment.content,
        maintype=main,
        subtype=sub,
        disposition="inline" if related else "attachment",
        # The library decodes an encoded-word in a name and writes the line break that it holds.
        filename=safe_name(attachment.filename).replace("=?", "=_")
        or fallback_name(attachment.content_type, 1),
        cid=f"<{attachment.content_id}>"
        if _CONTENT_ID.fullmatch(attachment.content_id or "")
        else None,
    )


def _tidy(text: str) -> str:
    r"""Line breaks as ``\n``, no control characters, no lone surrogates."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
