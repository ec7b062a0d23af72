"""A row of KolibriMessage and the values that it is made of, both ways, attachments included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

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
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage
from kolibri_sdk.store import blobs
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import attachment

__all__ = [
    "attachments_of",
    "insert_attachments",
    "parsed_columns",
    "people",
    "stored",
    "with_attachments",
]


def parsed_columns(mail: ParsedMail) -> dict[str, Any]:
    """The columns of a message that its bytes decide; its attachments have a table of their own."""
    sender = mail.sender
    return {
        "attempts": 0,
        "message_id": mail.message_id or None,
        "in_reply_to": list(mail.in_reply_to),
        "reference_ids": list(mail.references),
        "from_address": sender.address if sender else None,
        "from_name": sender.name if sender else None,
        "to_addresses": people(mail.to),
        "cc_addresses": people(mail.cc),
        "reply_to_addresses": people(mail.reply_to),
        "return_path": mail.return_path,
        "subject": mail.subject,
        "sent_at": mail.sent_at,
        "text": mail.text,
        "reply_text": mail.reply_text,
        "html": mail.html,
        "headers": mail.headers,
        "kind": mail.kind.value,
        "bounces": [
            {
                "address": report.address,
                "status": report.status,
                "action": report.action,
                "diagnostic": report.diagnostic,
                "original_message_id": report.original_message_id,
                "permanent": report.permanent,
            }
            for report in mail.bounces
        ],
        "forwarded": mail.forwarded.as_json() if mail.forwarded else None,
        "authentication": mail.authentication.as_json() if mail.authentication else None,
        "defects": list(mail.defects),
    }


def people(addresses: Iterable[Address]) -> list[dict[str, str]]:
    """Addresses as their columns hold them."""
    return [{"address": a.address, "name": a.name} for a in addresses]


def insert_attachments(tx: sa.Connection, mails: Iterable[tuple[int, ParsedMail]]) -> None:
    """Enter the attachments of parsed messages, each with the message's id."""
    rows = _attachment_rows(tx, mails)
    if rows:
        tx.execute(sa.insert(attachment), rows)


def _attachment_rows(
    tx: sa.Connection, mails: Iterable[tuple[int, ParsedMail]]
) -> list[dict[str, Any]]:
    parts = [
        (number, position, part)
        for number, mail in mails
        for position, part in enumerate(mail.attachments)
    ]
    names = blobs.put(tx, [part.content for _, _, part in parts])
    return [
        {
            "message": number,
            "position": position,
            "filename": part.filename,
            "content_type": part.content_type,
            "content_id": part.content_id or None,
            "inline": part.inline,
            "size": part.size,
            "blob": name,
        }
        for (number, position, part), name in zip(parts, names, strict=True)
    ]


def attachments_of(
    tx: sa.Connection, numbers: Iterable[int]
) -> dict[int, tuple[StoredAttachment, ...]]:
    """The attachments of these messages, in order."""
    found: dict[int, list[StoredAttachment]] = {}
    for chunk in query_in_chunks(numbers):
        query = sa.select(attachment).where(attachment.c.message.in_(chunk))
        for row in tx.execute(query.order_by(attachment.c.message, attachment.c.position)):
            found.setdefault(row.message, []).append(
                StoredAttachment(
                    filename=row.filename,
                    content_type=row.content_type,
                    size=row.size,
                    inline=row.inline,
                    content_id=row.content_id,
                    blob=row.blob,
                )
            )
    return {number: tuple(parts) for number, parts in found.items()}


def with_attachments(tx: sa.Connection, found: list[StoredMessage]) -> list[StoredMessage]:
    """The same messages, each with its attachments."""
    parts = attachments_of(tx, (item.id for item in found))
    return [
        replace(item, attachments=parts[item.id]) if item.id in parts else item for item in found
    ]


def stored(row: sa.RowMapping) -> StoredMessage:
    """A whole row as a value, still without its attachments."""
    record = (
        RecordKey(entity=row["entity"], key=row["record_key"])
        if row["entity"] is not None
        else None
    )
    sender = (
        Address(row["from_address"], row["from_name"] or "")
        if row["from_address"] is not None
        else None
    )
    return StoredMessage(
        id=row["id"],
        direction=Direction(row["direction"]),
        mailbox=row["mailbox"],
        state=MessageState(row["state"]),
        received_at=row["received_at"],
        size=row["size"],
        blob=row["blob"],
        message_id=row["message_id"],
        in_reply_to=tuple(row["in_reply_to"] or ()),
        references=tuple(row["reference_ids"] or ()),
        sender=sender,
        to=_addresses(row["to_addresses"]),
        cc=_addresses(row["cc_addresses"]),
        reply_to=_addresses(row["reply_to_addresses"]),
        return_path=row["return_path"],
        subject=row["subject"] or "",
        sent_at=row["sent_at"],
        text=row["text"] or "",
        html=row["html"],
        reply_text=row["reply_text"] or "",
        headers=tuple((name, value) for name, value in row["headers"] or ()),
        kind=MessageKind(row["kind"]),
        record=record,
        grade=row["grade"],
        bounces=tuple(_bounce(report) for report in row["bounces"] or ()),
        forwarded=ForwardedMail.of_json(row["forwarded"]) if row["forwarded"] else None,
        authentication=(
            Authentication.of_json(row["authentication"]) if row["authentication"] else None
        ),
        defects=tuple(row["defects"] or ()),
        error=row["error"],
        attempts=row["attempts"],
        depth=row["depth"],
    )


def _addresses(people: Iterable[Mapping[str, str]] | None) -> tuple[Address, ...]:
    return tuple(Address(person["address"], person["name"]) for person in people or ())


def _bounce(report: Mapping[str, Any]) -> BounceReport:
    return BounceReport(
        address=report["address"],
        status=report["status"],
        action=report["action"],
        diagnostic=report["diagnostic"],
        original_message_id=report["original_message_id"],
    )
