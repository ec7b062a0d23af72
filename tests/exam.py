"""What a foreign examination of mail parsers calls: the product's own functions, in its forms.

``make exam EXAM=FOLDER`` runs ``FOLDER/exam.py`` on ``mail``, ``reply`` and ``bounce``.
"""

from __future__ import annotations

from typing import Any

from kolibri_sdk.mail import newly_written, parse_mail
from kolibri_sdk.model.message import MessageKind


def mail(raw: bytes) -> dict[str, Any]:
    """A mail's subject, addresses, texts and attachments."""
    parsed = parse_mail(raw)
    # It asks for the plain text part; the product fills in the text of mails that are HTML alone.
    return {
        "subject": parsed.subject,
        "from": [str(address) for address in parsed.from_],
        "to": [str(address) for address in parsed.to],
        "text": "" if parsed.text_from_html else parsed.text,
        "html": parsed.html or "",
        "attachments": [
            {"filename": part.filename, "size": part.size, "content_type": part.content_type}
            for part in parsed.attachments
        ],
    }


def reply(text: str) -> str:
    """What the sender newly wrote."""
    return newly_written(text)


def bounce(raw: bytes) -> list[dict[str, str]]:
    """Who did not get the mail, and why; one nameless entry for a bounce that names nobody."""
    parsed = parse_mail(raw)
    if parsed.kind is MessageKind.BOUNCE and not parsed.bounces:
        return [{"dsn": "", "address": ""}]
    return [{"dsn": report.status, "address": report.address} for report in parsed.bounces]
