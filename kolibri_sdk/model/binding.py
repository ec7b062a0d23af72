"""What a condition or a template may see of a message: plain data, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.model.stored import StoredMessage

__all__ = ["FIELDS", "message_binding"]

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
    "kind": "ordinary, auto_reply, bounce or list",
    "automatic": "true where kind is not ordinary",
    "reference": "{entity, key, grade} of the record it belongs to, or null",
    "is_reply": "true where it belongs to a record, or answers some mail",
    "defects": "what the parser found wrong, list of text",
}


def message_binding(message: StoredMessage, hit: ReferenceHit | None = None) -> dict[str, Any]:
    """The variable ``message`` of conditions and templates (S24).

    Examples
    --------
    >>> from kolibri_sdk.model.message import Direction, MessageState
    >>> seen = message_binding(
    ...     StoredMessage(1, Direction.IN, "support", MessageState.PARSED, None, 5, None)
    ... )
    >>> sorted(seen) == sorted(FIELDS)
    True
    """
    return {
        "id": message.id,
        "mailbox": message.mailbox,
        "subject": message.subject,
        "from": _person(message.sender or Address("")),
        "to": _people(message.to),
        "cc": _people(message.cc),
        "reply_to": _people(message.reply_to),
        "text": message.text,
        "reply_text": message.reply_text,
        "html": message.html,
        "headers": _headers(message.headers),
        "attachments": [
            {
                "filename": part.filename,
                "content_type": part.content_type,
                "size": part.size,
                "inline": part.inline,
            }
            for part in message.attachments
        ],
        "received": _iso(message.received_at),
        "sent": _iso(message.sent_at),
        "size": message.size,
        "kind": message.kind.value,
        "automatic": message.automatic,
        "reference": (
            {"entity": hit.record.entity, "key": hit.record.key, "grade": hit.grade.value}
            if hit
            else None
        ),
        "is_reply": hit is not None or bool(message.in_reply_to or message.references),
        "defects": list(message.defects),
    }


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
