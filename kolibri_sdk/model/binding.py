"""What a condition or a template may see of a message: plain data, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from kolibri_sdk.model.message import Address, MessageKind
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage

__all__ = ["FIELDS", "SHAPES", "message_binding"]

#: The fields of ``message`` in conditions, and what each holds.
FIELDS = {
    "id": "number of the KolibriMessage",
    "mailbox": "name of the mailbox it came in by",
    "subject": "text",
    "from": "{address, name}; the address is empty where the mail names no sender",
    "to": "list of {address, name}",
    "cc": "list of {address, name}",
    "reply_to": "list of {address, name}",
    "text": "the whole text",
    "reply_text": "what the sender newly wrote, without quoted mail",
    "html": "the HTML body, or null",
    "headers": "lower-case header name → list of values",
    "attachments": "list of {filename, content_type, size, inline}",
    "received": "when the server got it, ISO 8601",
    "sent": "its Date header, ISO 8601, or null",
    "size": "bytes",
    "kind": "ordinary, auto_reply, bounce, list or own",
    "automatic": "true where kind is not ordinary",
    "reference": "{entity, key, grade} of the record it belongs to, or null",
    "is_reply": "true where it belongs to a record, or answers some mail",
    "forwarded": "{from, to, sent, subject, message_id} of the mail that was passed on, or null",
    "authentication": "{server, spf, dkim, dmarc, mailfrom, signed_by}, or null",
    "defects": "what the parser found wrong, list of text",
}

_PERSON = {"address": "string", "name": "string"}
_FILE = {"filename": "string", "content_type": "string", "size": "number", "inline": "boolean"}
_KINDS = "|".join(kind.value for kind in MessageKind)

#: The same for the static checks, which look at expressions before they run: ``"string?"`` may be
#: null, ``"string=a|b"`` is one of these, ``[x]`` is a list of x, a mapping an object (which may be
#: null where it has ``"?"``), ``{"*": x}`` an object of any names.
SHAPES: dict[str, Any] = {
    "id": "number",
    "mailbox": "string",
    "subject": "string",
    "from": _PERSON,
    "to": [_PERSON],
    "cc": [_PERSON],
    "reply_to": [_PERSON],
    "text": "string",
    "reply_text": "string",
    "html": "string?",
    "headers": {"*": "any"},
    "attachments": [_FILE],
    "received": "string?",
    "sent": "string?",
    "size": "number",
    "kind": f"string={_KINDS}",
    "automatic": "boolean",
    "reference": {"?": True, "entity": "string", "key": "string", "grade": "string"},
    "is_reply": "boolean",
    "forwarded": {
        "?": True,
        "from": {"?": True, **_PERSON},
        "to": [_PERSON],
        "sent": "string?",
        "subject": "string",
        "message_id": "string?",
    },
    "authentication": {
        "?": True,
        "server": "any",
        "spf": "any",
        "dkim": "any",
        "dmarc": "any",
        "mailfrom": "any",
        "signed_by": "any",
    },
    "defects": ["string"],
}


def message_binding(
    message: StoredMessage,
    hit: ReferenceHit | None = None,
    fields: Collection[str] | None = None,
) -> dict[str, Any]:
    """The variable ``message`` of conditions and templates (S24).

    Parameters
    ----------
    message : StoredMessage
        The mail.
    hit : ReferenceHit, optional
        The record that its reference leads to.
    fields : collection of str, optional
        Only these; without it, all `FIELDS`. Names that are none are passed over.

    Examples
    --------
    >>> from kolibri_sdk.model.message import Direction, MessageState
    >>> mail = StoredMessage(1, Direction.IN, "support", MessageState.PARSED, None, 5, None)
    >>> sorted(message_binding(mail)) == sorted(FIELDS)
    True
    >>> message_binding(mail, fields={"mailbox", "size"})
    {'mailbox': 'support', 'size': 5}
    """
    return {
        name: read(message, hit)
        for name, read in _READERS.items()
        if fields is None or name in fields
    }


_READERS: dict[str, Callable[[StoredMessage, ReferenceHit | None], Any]] = {
    "id": lambda message, _: message.id,
    "mailbox": lambda message, _: message.mailbox,
    "subject": lambda message, _: message.subject,
    "from": lambda message, _: _person(message.sender or Address("")),
    "to": lambda message, _: _people(message.to),
    "cc": lambda message, _: _people(message.cc),
    "reply_to": lambda message, _: _people(message.reply_to),
    "text": lambda message, _: message.text,
    "reply_text": lambda message, _: message.reply_text,
    "html": lambda message, _: message.html,
    "headers": lambda message, _: _headers(message.headers),
    "attachments": lambda message, _: [_file(part) for part in message.attachments],
    "received": lambda message, _: _iso(message.received_at),
    "sent": lambda message, _: _iso(message.sent_at),
    "size": lambda message, _: message.size,
    "kind": lambda message, _: message.kind.value,
    "automatic": lambda message, _: message.automatic,
    "reference": lambda _, hit: _reference(hit) if hit else None,
    "is_reply": lambda message, hit: (
        hit is not None or bool(message.in_reply_to or message.references)
    ),
    "forwarded": lambda message, _: message.forwarded and message.forwarded.as_json(),
    "authentication": lambda message, _: (
        message.authentication and message.authentication.as_json()
    ),
    "defects": lambda message, _: list(message.defects),
}


def _file(part: StoredAttachment) -> dict[str, Any]:
    return {
        "filename": part.filename,
        "content_type": part.content_type,
        "size": part.size,
        "inline": part.inline,
    }


def _reference(hit: ReferenceHit) -> dict[str, str]:
    return {"entity": hit.record.entity, "key": hit.record.key, "grade": hit.grade.value}


def _person(address: Address) -> dict[str, str]:
    return {"address": address.address, "name": address.name}


def _people(addresses: Iterable[Address]) -> list[dict[str, str]]:
    return [_person(address) for address in addresses]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _headers(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found
