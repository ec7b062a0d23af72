"""Rows of the central tables as values: KolibriMessage, outbox item, activity, event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import (
    Address,
    Authentication,
    BounceReport,
    Direction,
    ForwardedMail,
    MessageKind,
    MessageState,
    ParsedMail,
)
from kolibri_sdk.model.outbox import OutboxState
from kolibri_sdk.model.provenance import Provenance

__all__ = [
    "ActivityEntry",
    "OutboxItem",
    "RecordEvent",
    "StoredAttachment",
    "StoredMessage",
]


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """One attachment of a KolibriMessage; its bytes lie in the blob ``blob`` (SHA-256)."""

    filename: str
    content_type: str
    size: int
    inline: bool
    content_id: str | None
    blob: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One row of KolibriMessage (S19, S22)."""

    id: int
    direction: Direction
    mailbox: str
    state: MessageState
    received_at: datetime | None
    size: int
    blob: str | None
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    sender: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    return_path: str | None = None
    subject: str = ""
    sent_at: datetime | None = None
    text: str = ""
    html: str | None = None
    reply_text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    kind: MessageKind = MessageKind.ORDINARY
    record: RecordKey | None = None
    grade: str | None = None
    bounces: tuple[BounceReport, ...] = ()
    forwarded: ForwardedMail | None = None
    authentication: Authentication | None = None
    defects: tuple[str, ...] = ()
    error: str = ""
    attempts: int = 0
    depth: int = 0  #: how many automatic mails led to it since a person wrote
    attachments: tuple[StoredAttachment, ...] = ()

    @classmethod
    def of(
        cls, mail: ParsedMail, *, mailbox: str, received_at: datetime, number: int = 0
    ) -> StoredMessage:
        """A parsed mail as a row that is in no database: for trying rules, and golden examples."""
        return cls(
            id=number,
            direction=Direction.IN,
            mailbox=mailbox,
            state=MessageState.PARSED,
            received_at=received_at,
            size=mail.size,
            blob=None,
            message_id=mail.message_id,
            in_reply_to=mail.in_reply_to,
            references=mail.references,
            sender=mail.sender,
            to=mail.to,
            cc=mail.cc,
            reply_to=mail.reply_to,
            return_path=mail.return_path,
            subject=mail.subject,
            sent_at=mail.sent_at,
            text=mail.text,
            html=mail.html,
            reply_text=mail.reply_text,
            headers=mail.headers,
            kind=mail.kind,
            bounces=mail.bounces,
            forwarded=mail.forwarded,
            authentication=mail.authentication,
            defects=mail.defects,
            attachments=tuple(
                StoredAttachment(
                    filename=part.filename,
                    content_type=part.content_type,
                    size=part.size,
                    inline=part.inline,
                    content_id=part.content_id,
                    blob="",
                )
                for part in mail.attachments
            ),
        )

    @property
    def automatic(self) -> bool:
        """Whether no person wrote it."""
        return self.kind is not MessageKind.ORDINARY

    @property
    def bounced(self) -> tuple[str, ...]:
        """The Message-IDs of the mails that it reports as not delivered."""
        ids = (report.original_message_id for report in self.bounces)
        return tuple(dict.fromkeys(name for name in ids if name))


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """One change of a record, as the trigger on its table noted it (S5)."""

    id: int
    record: RecordKey
    kind: str  #: "insert" | "update" | "delete"
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    at: datetime
    cause: str | None = None  #: the text of ``provenance``
    state: str = "new"  #: "new" | "done" | "failed": whether outgoing rules have seen it
    error: str = ""

    @property
    def provenance(self) -> Provenance:
        """What wrote it, as far as that is known: a rule on a mail, or a person."""
        return Provenance.read(self.cause)

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the fields with another value than before, sorted."""
        before, after = self.before or {}, self.after or {}
        names = {*before, *after}
        return tuple(sorted(n for n in names if before.get(n) != after.get(n)))


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One mail to be sent to a group of recipients that share a language."""

    id: int
    message: int  #: id of its KolibriMessage
    mailbox: str
    state: OutboxState
    recipients: tuple[str, ...]
    cause: str  #: unique: what it is sent for
    message_id: str
    sender: str  #: envelope sender; "" is the null return path
    request: Mapping[str, Any] = field(default_factory=dict)  #: what it is rendered from
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    record: RecordKey | None = None
    attempts: int = 0
    due_at: datetime | None = None
    error: str = ""
    blob: str | None = None
    rule: str = ""  #: of an outgoing rule: ``incident/group-changed``
    bulk: int | None = None  #: held together with others: the number of the first of them


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One entry in a record's activity stream (S13, S23)."""

    record: RecordKey
    kind: str  #: "created" | "changed" | "note" | "mail_in" | "mail_sent" | "mail_failed"
    at: datetime
    text: str = ""
    author: str = ""
    message: int | None = None
    cause: str = ""
