"""KolibriMessage: one row per mail, in and out, and its way from fetched to done (S19, S22)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import NotFound
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
from kolibri_sdk.store import blobs, ids
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import attachment, message

__all__ = [
    "Arrival",
    "Claimed",
    "attachments_of",
    "claim_fetched",
    "finish",
    "finish_plainly",
    "get",
    "get_many",
    "insert_attachments",
    "insert_fetched",
    "insert_outgoing",
    "latest_known",
    "mail_time",
    "mailbox_of",
    "parsed_columns",
    "pending",
    "release_claims",
    "save_outgoing",
    "save_parsed",
    "save_unparsed",
    "select",
    "set_aside",
    "tie",
]


#: When a mail was under way: when the server got it, else when it was sent, else stored here.
mail_time = sa.func.coalesce(message.c.received_at, message.c.sent_at, message.c.stored_at)


_CLAIMED_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail as it came from the server: where its bytes lie, and when it arrived there."""

    blob: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stored mail to be parsed; ``attempts`` counts this one."""

    id: int
    mailbox: str
    blob: str
    attempts: int
    received_at: datetime


def insert_fetched(
    tx: sa.Connection,
    mailbox: str,
    arrivals: Sequence[Arrival],
    state: MessageState = MessageState.FETCHED,
) -> list[int]:
    """Enter mails that nobody has parsed yet; their ids, in order."""
    taken = ids.take(tx, "message", len(arrivals))
    now = clock.now()
    rows = [
        {
            "id": number,
            "direction": Direction.IN.value,
            "mailbox": mailbox,
            "state": state.value,
            "received_at": arrival.received_at,
            "stored_at": now,
            "size": arrival.size,
            "blob": arrival.blob,
        }
        for number, arrival in zip(taken, arrivals, strict=True)
    ]
    if rows:
        tx.execute(sa.insert(message), rows)
    return taken


def claim_fetched(
    tx: sa.Connection, limit: int, mailboxes: Sequence[str], *, tried: bool = False
) -> list[Claimed]:
    """Mails to parse, oldest first, each with one more attempt counted.

    They are so many, or fewer where they are large: together about 16 MB, but always one.

    The count is committed before the parser sees the bytes: a mail that takes the process down
    has ``tried`` on it the next time, and is taken alone then.
    """
    names = ("id", "mailbox", "blob", "attempts", "received_at", "stored_at", "size")
    query = sa.select(*(message.c[name] for name in names)).where(
        message.c.state == MessageState.FETCHED.value,
        message.c.mailbox.in_(mailboxes),
        message.c.attempts > 0 if tried else message.c.attempts == 0,
    )
    found = tx.execute(
        query.order_by(message.c.attempts, message.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    held = accumulate(row.size for row in found)
    rows = [row for row, size in zip(found, held, strict=True) if size - row.size < _CLAIMED_BYTES]
    for chunk in query_in_chunks(row.id for row in rows):
        tx.execute(
            sa.update(message)
            .where(message.c.id.in_(chunk))
            .values(attempts=message.c.attempts + 1)
        )
    return [
        Claimed(row.id, row.mailbox, row.blob, row.attempts + 1, row.received_at or row.stored_at)
        for row in rows
    ]


def release_claims(tx: sa.Connection, numbers: Iterable[int]) -> None:
    """Take the attempts back: it was not the mails that kept the parser from finishing."""
    for chunk in query_in_chunks(numbers):
        this = sa.and_(message.c.id.in_(chunk), message.c.state == MessageState.FETCHED.value)
        tx.execute(sa.update(message).where(this).values(attempts=message.c.attempts - 1))


def save_parsed(
    tx: sa.Connection,
    parsed: Mapping[int, ParsedMail],
    state: MessageState = MessageState.PARSED,
    done: Mapping[int, str] | None = None,
) -> set[int]:
    """Fill in what the parser found, attachments included (S19); the ids of those filled in.

    A mail that another poller has parsed meanwhile is left as it is. One that is incomplete
    becomes ``unparsed``, with its reason. One in ``done`` has been decided on already, by the
    ruleset of this digest, and came to nothing: it is done.
    """
    mine = [(number, parsed[number]) for number in _still_fetched(tx, parsed)]
    if not mine:
        return set()
    rulesets = done or {}
    tx.execute(
        sa.update(message).where(message.c.id == sa.bindparam("b_id")),
        [
            {
                "b_id": number,
                **parsed_columns(mail),
                **_state(mail, MessageState.DONE if number in rulesets else state),
                "ruleset": rulesets.get(number),
            }
            for number, mail in mine
        ],
    )
    insert_attachments(tx, mine)
    return {number for number, _ in mine}


def insert_attachments(tx: sa.Connection, mails: Iterable[tuple[int, ParsedMail]]) -> None:
    """Enter the attachments of parsed messages, each with the message's id."""
    rows = _attachment_rows(tx, mails)
    if rows:
        tx.execute(sa.insert(attachment), rows)


def _still_fetched(tx: sa.Connection, numbers: Iterable[int]) -> list[int]:
    found: list[int] = []
    for chunk in query_in_chunks(numbers):
        query = sa.select(message.c.id).where(
            message.c.id.in_(chunk), message.c.state == MessageState.FETCHED.value
        )
        found.extend(tx.scalars(query.with_for_update()))
    return found


def save_unparsed(tx: sa.Connection, number: int, reason: str) -> None:
    """Keep the mail with its raw bytes, and the reason why it could not be parsed."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number, message.c.state == MessageState.FETCHED.value)
        .values(state=MessageState.UNPARSED.value, error=reason)
    )


def _state(mail: ParsedMail, state: MessageState) -> dict[str, Any]:
    if mail.incomplete:
        return {"state": MessageState.UNPARSED.value, "error": mail.incomplete}
    return {"state": state.value, "error": ""}


def _people(addresses: Iterable[Address]) -> list[dict[str, str]]:
    return [{"address": a.address, "name": a.name} for a in addresses]


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
        "to_addresses": _people(mail.to),
        "cc_addresses": _people(mail.cc),
        "reply_to_addresses": _people(mail.reply_to),
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


def pending(
    tx: sa.Connection, mailbox: str, limit: int, *, max_attempts: int, after: int = 0
) -> list[StoredMessage]:
    """Parsed mails whose rules have not run, and failed ones with a try left; oldest first.

    ``after`` leaves out ids up to this one: what has failed in this pass waits for the next.
    """
    waiting = sa.or_(
        message.c.state == MessageState.PARSED.value,
        sa.and_(message.c.state == MessageState.FAILED.value, message.c.attempts < max_attempts),
    )
    query = (
        sa.select(message)
        .where(waiting, message.c.mailbox == mailbox, message.c.id > after)
        .order_by(message.c.id)
        .limit(limit)
    )
    return _with_attachments(tx, [_stored(row) for row in tx.execute(query).mappings()])


def finish(
    tx: sa.Connection,
    found: StoredMessage,
    state: MessageState,
    *,
    record: RecordKey | None = None,
    grade: str | None = None,
    forged: int = 0,
    error: str = "",
) -> bool:
    """Move a message on from the state it was read in; False when somebody else did before."""
    moved = tx.execute(
        sa.update(message)
        .where(
            message.c.id == found.id,
            message.c.state == found.state.value,
            message.c.attempts == found.attempts,
        )
        .values(
            state=state.value,
            entity=record.entity if record else None,
            record_key=record.key if record else None,
            grade=grade,
            forged=forged,
            kind=found.kind.value,
            depth=found.depth,
            error=error,
            attempts=message.c.attempts + (1 if state is MessageState.FAILED else 0),
        )
    )
    return moved.rowcount == 1


def finish_plainly(tx: sa.Connection, found: Sequence[StoredMessage]) -> set[int]:
    """Mark parsed messages as done that came to nothing; those that nobody else had done before."""
    done: set[int] = set()
    for chunk in query_in_chunks(item.id for item in found):
        moved = (
            sa.update(message)
            .where(message.c.id.in_(chunk), message.c.state == MessageState.PARSED.value)
            .values(state=MessageState.DONE.value)
        )
        done.update(tx.scalars(moved.returning(message.c.id)))
    return done


def tie(tx: sa.Connection, number: int, record: RecordKey | None, grade: str | None) -> None:
    """Tie a message to a record, or to none."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number)
        .values(
            entity=record.entity if record else None,
            record_key=record.key if record else None,
            grade=grade,
        )
    )


def set_aside(tx: sa.Connection, number: int) -> None:
    """Mark a failed message as done: a person has dealt with it; its error stays."""
    tx.execute(
        sa.update(message)
        .where(message.c.id == number, message.c.state == MessageState.FAILED.value)
        .values(state=MessageState.DONE.value)
    )


def get(tx: sa.Connection, number: int) -> StoredMessage:
    """One message by its id.

    Raises
    ------
    NotFound
        When there is none.
    """
    found = get_many(tx, [number])
    if not found:
        raise NotFound(f"There is no message {number}", "k.messages.frame() lists them")
    return found[number]


def get_many(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, StoredMessage]:
    """Those of these messages that there are, by id."""
    found: list[StoredMessage] = []
    for chunk in query_in_chunks(numbers):
        query = sa.select(message).where(message.c.id.in_(chunk))
        found += map(_stored, tx.execute(query).mappings())
    return {item.id: item for item in _with_attachments(tx, found)}


def select(
    tx: sa.Connection, *conditions: sa.ColumnElement[bool], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """These columns of the messages that meet the conditions, in the order they were stored.

    ``attachments`` is a list of mappings, without their bytes.
    """
    asked = [message.c[name] for name in columns if name != "attachments"]
    query = sa.select(message.c.id.label("_id"), *asked).where(*conditions)
    rows = [dict(row) for row in tx.execute(query.order_by(message.c.id)).mappings()]
    parts: dict[int, tuple[StoredAttachment, ...]] = {}
    if "attachments" in columns:
        parts = attachments_of(tx, (row["_id"] for row in rows))
    for row in rows:
        number = row.pop("_id")
        if "attachments" in columns:
            row["attachments"] = [asdict(part) for part in parts.get(number, ())]
    return rows


def latest_known(tx: sa.Connection) -> int:
    """The highest message id there is; 0 in an empty table."""
    return tx.execute(sa.select(sa.func.max(message.c.id))).scalar() or 0


def insert_outgoing(
    tx: sa.Connection,
    *,
    number: int,
    mailbox: str,
    message_id: str,
    sender: Address,
    to: Sequence[Address],
    record: RecordKey | None,
    cc: Sequence[Address] = (),
    cause: int | None = None,
    state: MessageState = MessageState.QUEUED,
    depth: int = 0,
) -> None:
    """Enter a mail that is to go out, before it is rendered.

    Parameters
    ----------
    cause : int, optional
        The message that it answers.
    depth : int
        How many automatic mails there are from the last one that a person wrote, this included.
    """
    parent = get(tx, cause) if cause is not None else None
    answers = [parent.message_id] if parent and parent.message_id else []
    tx.execute(
        sa.insert(message).values(
            id=number,
            direction=Direction.OUT.value,
            mailbox=mailbox,
            state=state.value,
            depth=depth,
            stored_at=clock.now(),
            message_id=message_id,
            in_reply_to=answers,
            reference_ids=[*parent.references, *answers] if parent else [],
            from_address=sender.address,
            from_name=sender.name,
            to_addresses=_people(to),
            cc_addresses=_people(cc),
            size=0,
            entity=record.entity if record else None,
            record_key=record.key if record else None,
        )
    )


def mailbox_of(tx: sa.Connection, record: RecordKey) -> str | None:
    """The mailbox of the latest mail that belongs to this record."""
    query = (
        sa.select(message.c.mailbox)
        .where(message.c.entity == record.entity, message.c.record_key == record.key)
        .order_by(message.c.id.desc())
        .limit(1)
    )
    return tx.scalar(query)


def save_outgoing(tx: sa.Connection, number: int, **values: Any) -> None:
    """Set these columns of an outgoing mail: its content once rendered, its state later."""
    tx.execute(sa.update(message).where(message.c.id == number).values(**values))


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


def _with_attachments(tx: sa.Connection, found: list[StoredMessage]) -> list[StoredMessage]:
    parts = attachments_of(tx, (item.id for item in found))
    return [
        replace(item, attachments=parts[item.id]) if item.id in parts else item for item in found
    ]


def _addresses(people: Iterable[Mapping[str, str]] | None) -> tuple[Address, ...]:
    return tuple(Address(person["address"], person["name"]) for person in people or ())


def _stored(row: sa.RowMapping) -> StoredMessage:
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


def _bounce(report: Mapping[str, Any]) -> BounceReport:
    return BounceReport(
        address=report["address"],
        status=report["status"],
        action=report["action"],
        diagnostic=report["diagnostic"],
        original_message_id=report["original_message_id"],
    )
