"""The demonstration's mails: dropping them into Maildirs, and the customer's replies."""

from __future__ import annotations

import os
from collections.abc import Iterable
from email.header import Header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from email.utils import parseaddr
from pathlib import Path

__all__ = ["MAILS", "deliver", "read_answer", "replies_to"]

MAILS = Path(__file__).parent / "mails"


def deliver(mails: Iterable[tuple[str, bytes]], maildir: Path) -> int:
    """Drop mails, as (name, bytes), into a Maildir as its delivery rules ask; how many.

    Each is written to ``tmp`` and then moved to ``new``, so that no reader sees half a mail
    (https://cr.yp.to/proto/maildir.html).
    """
    number = 0
    for name, raw in mails:
        draft = maildir / "tmp" / name
        draft.write_bytes(raw)
        os.rename(draft, maildir / "new" / name)
        number += 1
    return number


def read_answer(maildir: Path) -> EmailMessage:
    """The one answer that lies in the outgoing Maildir so far."""
    (path,) = (maildir / "new").iterdir()
    return BytesParser(policy=default).parsebytes(path.read_bytes())


def replies_to(answer: EmailMessage, address: str) -> list[tuple[str, bytes]]:
    """What a customer's mail programs write in reply to this answer, as (name, bytes).

    One reply goes to the answer's Reply-To address under its subject; the other one goes to the
    mailbox's own ``address`` under a new subject and has nothing but References.
    """
    body = answer.get_body(("plain",))
    said = body.get_content() if body else ""
    replacements = {
        "in_reply_to": answer["Message-ID"],
        "references": " ".join(filter(None, [answer["References"], answer["Message-ID"]])),
        "quoted": "\n".join(f"> {line}".rstrip() for line in said.splitlines()),
        "subject": Header(str(answer["Subject"]), "utf-8", header_name="Subject: Re").encode(),
    }
    _, reply_to = parseaddr(str(answer["Reply-To"] or address))
    made = []
    for path in sorted((MAILS / "replies").glob("*.eml")):
        to = address if path.stem == "references-only" else reply_to
        text = path.read_text(encoding="utf-8").format(**replacements, to=to)
        made.append((f"reply-{path.name}", text.encode()))
    return made
