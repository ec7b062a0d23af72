"""A mail that a person writes by hand: composed at once, queued with its bytes (S9-S13, S22)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.mail import Draft, compose, parse_mail
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, Attachment
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.stored import ActivityEntry, OutboxItem, StoredMessage
from kolibri_sdk.reference import Carriers
from kolibri_sdk.store import activity, blobs, ids, messages, outbox

__all__ = ["BY_HAND", "Letter", "bytes_of", "compose_again", "post"]

BY_HAND = "by_hand"  #: key of an outbox row's request: who wrote the mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail with everything that is in it; its Message-ID is minted already."""

    mailbox: Mailbox
    carriers: Carriers
    cause: str  #: unique: the same letter never goes out twice
    author: str
    date: datetime
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()  #: get it, and no header says so
    subject: str = ""  #: with its tag
    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    answers: int | None = None  #: id of the message that it replies to
    record: RecordKey | None = None
    noted: bool = False  #: in the record's activity stream

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who gets it."""
        return tuple(person.address for person in (*self.to, *self.cc, *self.bcc))


def bytes_of(letter: Letter) -> bytes:
    """The mail as it goes out; the same letter gives the same bytes.

    Raises
    ------
    PermanentSendError
        When an address cannot stand in a header.
    """
    mailbox, reply_to = letter.mailbox, letter.carriers.reply_to
    draft = Draft(
        message_id=letter.carriers.message_id,
        sender=Address(mailbox.address, mailbox.display_name),
        to=letter.to,
        cc=letter.cc,
        date=letter.date,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        reply_to=Address(reply_to, mailbox.display_name) if reply_to else None,
        in_reply_to=letter.in_reply_to,
        references=(*letter.references, *filter(None, [letter.carriers.thread_id])),
        attachments=letter.attachments,
        # A list or an alias may bring it back: then it is known as our own.
        headers=(("X-Loop", mailbox.address),),
    )
    return compose(draft)


def post(tx: sa.Connection, letter: Letter) -> int:
    """Queue a letter with its bytes, and note it in the record's stream; its outbox number.

    A letter that is posted a second time is in the outbox already, and stays as it is.
    """
    raw = bytes_of(letter)
    number, message = ids.take(tx, "outbox", 1)[0], ids.take(tx, "message", 1)[0]
    item = OutboxItem(
        id=number,
        message=message,
        mailbox=letter.mailbox.name,
        state=OutboxState.QUEUED,
        recipients=letter.recipients,
        cause=letter.cause,
        message_id=letter.carriers.message_id,
        sender=letter.mailbox.address,
        request=_request(letter),
        record=letter.record,
    )
    if not outbox.insert(tx, item, due_at=clock.now()):
        return outbox.of_cause(tx, letter.cause)
    messages.insert_outgoing(
        tx,
        number=message,
        mailbox=letter.mailbox.name,
        message_id=letter.carriers.message_id,
        sender=Address(letter.mailbox.address, letter.mailbox.display_name),
        to=letter.to,
        cc=letter.cc,
        record=letter.record,
        cause=letter.answers,
    )
    _keep(tx, item, letter, raw)
    if letter.record is not None and letter.noted:
        entry = ActivityEntry(
            record=letter.record,
            kind="mail_queued",
            at=clock.now(),
            text=_told(letter),
            author=letter.author,
            message=message,
            cause=letter.cause,
        )
        activity.add(tx, [entry])
    return number


def compose_again(tx: sa.Connection, item: OutboxItem, message: StoredMessage, box: Mailbox) -> str:
    """Compose a letter whose bytes were lost from what the central table holds of it.

    Returns
    -------
    str
        The name of its bytes, which are the same as before.

    Raises
    ------
    NotFound
        When the bytes of an attachment are lost as well.
    """
    request = item.request[BY_HAND]
    files = blobs.get(tx, [part.blob for part in message.attachments])
    letter = Letter(
        mailbox=box,
        carriers=Carriers(**item.request["carriers"]),
        cause=item.cause,
        author=request["author"],
        date=datetime.fromisoformat(request["date"]),
        to=message.to,
        cc=message.cc,
        subject=message.subject,
        text=message.text,
        html=message.html,
        in_reply_to=request["in_reply_to"],
        references=tuple(request["references"]),
        attachments=tuple(
            Attachment(
                part.filename, part.content_type, files[part.blob], part.content_id, part.inline
            )
            for part in message.attachments
        ),
    )
    (name,) = blobs.put(tx, [bytes_of(letter)])
    return name


def _request(letter: Letter) -> dict[str, Any]:
    return {
        BY_HAND: {
            "author": letter.author,
            "bcc": [person.address for person in letter.bcc],
            "date": letter.date.isoformat(),
            "in_reply_to": letter.in_reply_to,
            "references": list(letter.references),
        },
        "carriers": asdict(letter.carriers),
        "noted": letter.noted,
    }


def _keep(tx: sa.Connection, item: OutboxItem, letter: Letter, raw: bytes) -> None:
    """The mail byte for byte, and in the central table what it says (S22)."""
    (name,) = blobs.put(tx, [raw])
    parsed = parse_mail(raw)
    outbox.save(tx, item.id, blob=name)
    values: Mapping[str, Any] = {
        "blob": name,
        "size": len(raw),
        "subject": letter.subject,
        "text": letter.text,
        "reply_text": parsed.reply_text,
        "html": letter.html,
        "headers": parsed.headers,
    }
    messages.save_outgoing(tx, item.message, **values)
    messages.insert_attachments(tx, [(item.message, parsed)])


def _told(letter: Letter) -> str:
    groups = {"To": letter.to, "cc": letter.cc, "bcc": letter.bcc}
    people = "; ".join(
        f"{name} {', '.join(person.address for person in some)}"
        for name, some in groups.items()
        if some
    )
    return f"{people}: {letter.subject}"
