"""Mail by hand: from what a person asks for to a letter that is queued in one transaction (S9)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError, ConfigurationError
from kolibri_sdk.mail import (
    Quotable,
    Quotation,
    as_html,
    embed_images,
    forward_of,
    forward_subject,
    plain_twin,
    quote_of,
    ready_html,
    reply_subject,
)
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, Attachment, Direction
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import (
    NOBODY,
    Dropped,
    Letter,
    Person,
    Signature,
    bytes_of,
    resolve_values,
    signature_of,
)
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.reference import Carriers, mint_carriers, plain_message_id
from kolibri_sdk.store import blobs, bounced, messages, users

__all__ = ["Asked", "Written", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants written; everything but the recipients has a default."""

    to: Any = ()  #: addresses, users, groups: text with commas, or a sequence
    cc: Any = ()
    bcc: Any = ()
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    attachments: Sequence[Attachment] = ()
    mailbox: str | None = None
    language: str | None = None
    record: RecordKey | None = None
    answers: StoredMessage | None = None
    forwards: StoredMessage | None = None
    from_record: bool = False  #: which then must have its activity stream switched on
    everybody: bool = False  #: an answer goes to all who had the mail
    quote: bool = True
    sign: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A letter that can be looked at and posted, and what its writer should know."""

    letter: Letter
    left_out: tuple[Dropped, ...]  #: who gets nothing, and why
    notes: tuple[str, ...]  #: such as: mails to this address came back


@dataclass(frozen=True, slots=True)
class _People:
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    bcc: tuple[Person, ...]
    left_out: tuple[Dropped, ...]


def write(system: System, asked: Asked) -> Written:
    """Make a letter: recipients, HTML, signature, quote and reference; nothing is queued yet.

    Raises
    ------
    ConfigurationError
        When nobody gets it, it says nothing, the mailbox is not known or sends no mail, or the
        record's activity stream is switched off.
    NotFound
        When there is no such record or mailbox.
    """
    if asked.html is None and asked.text is None and asked.forwards is None:
        raise ConfigurationError("The mail says nothing", "Give html= or text=")
    original = asked.answers or asked.forwards
    with system.store.read() as tx:
        record = system.tables.get(tx, asked.record) if asked.record is not None else {}
        mailbox = _mailbox(tx, system, asked, original)
        people = _people(tx, system, asked, mailbox)
        author = users.find(tx, [system.user]).get(system.user)
        marked = bounced.unreachable(tx, (one.address.address for one in people.to + people.cc))
        files = _parts_of(tx, asked)
    language = asked.language or _language(people.to, mailbox)
    letter = _composed(system, asked, mailbox, people, language, author, files)
    letter = replace(letter, subject=_subject(system, asked, record, language))
    with system.store.write() as tx:
        carriers = _carriers(tx, system, asked.record, mailbox, record)
    letter = _referenced(letter, carriers)
    bytes_of(letter)  # an address that cannot stand in a header is told now
    notes = [
        f"mails to {address} came back since {mark['since']:%Y-%m-%d} ({mark['reason'][:200]})"
        for address, mark in marked.items()
    ]
    return Written(letter, people.left_out, tuple(notes))


# Who


def _people(tx: sa.Connection, system: System, asked: Asked, mailbox: Mailbox) -> _People:
    here = dict.fromkeys(mailbox.own_addresses, f"is the mailbox {mailbox.name} itself")
    to, cc = asked.to, asked.cc
    own = here
    if asked.answers is not None and not to:
        own = system.rulebook.own_addresses()
        to, others = _answered(asked.answers, own)
        cc = [*_several(cc), *others] if asked.everybody else cc
    taken: dict[str, None] = {}
    left_out: list[Dropped] = []
    found: dict[str, tuple[Person, ...]] = {}
    for where, values in (("to", to), ("cc", cc), ("bcc", asked.bcc)):
        resolved = resolve_values(tx, _several(values), where, own)
        unknown = [one.value for one in resolved.dropped if one.reason == NOBODY]
        if unknown:
            raise ConfigurationError(
                f"{where}= names {', '.join(map(repr, unknown))}: no address, user or group",
                "Correct it, or enter the user: k.users.add(…)",
            )
        new = [one for one in resolved.people if one.address.address.lower() not in taken]
        taken |= dict.fromkeys(one.address.address.lower() for one in new)
        found[where] = tuple(new)
        left_out += [one for one in resolved.dropped if one.value != "anybody"]
    if not taken:
        why = "; ".join(f"{one.value} {one.reason}" for one in left_out)
        raise ConfigurationError(
            f"Nobody would get the mail{f' ({why})' if why else ''}", "Give to=, cc= or bcc="
        )
    return _People(found["to"], found["cc"], found["bcc"], tuple(left_out))


def _several(values: Any) -> list[Any]:
    """The recipients as plain values: text, ``{address, name}``, or lists of these."""
    if isinstance(values, str | Address | User) or not isinstance(values, Sequence | set):
        values = [values]
    return [
        {"address": one.address, "name": one.name} if isinstance(one, Address | User) else one
        for one in values
    ]


def _answered(mail: StoredMessage, own: dict[str, str]) -> tuple[list[Address], list[Address]]:
    """Who gets an answer, and who else had the mail; to one of ours, who got it gets the next."""
    if mail.direction is Direction.OUT:
        return list(mail.to), list(mail.cc)
    first = [*(mail.reply_to or ([mail.sender] if mail.sender else []))]
    others = [one for one in (*mail.to, *mail.cc) if one.address.lower() not in own]
    return first, others


def _language(people: Sequence[Person], mailbox: Mailbox) -> str:
    user = people[0].user if len(people) == 1 else None
    return (user.language if user else None) or mailbox.language


# By which mailbox, about what


def _mailbox(
    tx: sa.Connection, system: System, asked: Asked, original: StoredMessage | None
) -> Mailbox:
    if asked.record is not None and asked.from_record:
        _require_stream(system, asked.record)
    known = system.rulebook.mailboxes
    sending = [name for name, mailbox in known.items() if mailbox.outbound is not None]
    name = asked.mailbox
    if name is None and original is not None:
        name = original.mailbox
    if name is None and asked.record is not None:
        name = messages.mailbox_of(tx, asked.record)
    if asked.mailbox is None and name not in sending:
        name = sending[0] if len(sending) == 1 else None
    if name is None:
        raise ConfigurationError(
            "It is not said by which mailbox the mail goes out",
            f"Give mailbox=; there are: {', '.join(sending) or 'none that sends'}",
        )
    mailbox = system.mailbox(name)
    if mailbox.outbound is None:
        raise ConfigurationError(
            f"The mailbox {mailbox.name} has no outbound side",
            f"Add outbound: to {mailbox.file or 'its file'}, or name another mailbox",
        )
    return mailbox


def _require_stream(system: System, record: RecordKey) -> None:
    entity = system.tables.entity(record.entity)
    if not entity.activity_stream:
        raise ConfigurationError(
            f"The activity stream of {entity.name} is switched off, and mail by hand is written "
            f"from records that have one: nothing is sent from {record}",
            f"Set activity_stream: true in {entity.file or 'the file of the entity'}",
        )


def _subject(system: System, asked: Asked, record: dict[str, Any], language: str) -> str:
    if asked.subject is not None:
        return " ".join(asked.subject.split())
    if asked.answers is not None:
        return reply_subject(asked.answers.subject)
    if asked.forwards is not None:
        return forward_subject(asked.forwards.subject, language)
    entity = system.tables.entity(asked.record.entity) if asked.record is not None else None
    return str(record.get(entity.title) or "") if entity is not None and entity.title else ""


def _carriers(
    tx: sa.Connection,
    system: System,
    record: RecordKey | None,
    mailbox: Mailbox,
    values: dict[str, Any],
) -> Carriers:
    if record is None:
        return Carriers(plain_message_id(mailbox))
    return mint_carriers(tx, mailbox, system.tables.entity(record.entity), record, values)


def _referenced(letter: Letter, carriers: Carriers) -> Letter:
    html = letter.html
    if html is not None:
        html = f"<html><body>{html}{carriers.marker}</body></html>"
    return replace(
        letter, carriers=carriers, subject=carriers.subject(letter.subject).strip(), html=html
    )


# What it says


def _composed(
    system: System,
    asked: Asked,
    mailbox: Mailbox,
    people: _People,
    language: str,
    author: User | None,
    files: tuple[Attachment, ...],
) -> Letter:
    """The letter without subject and reference."""
    context = {
        "user": {
            "id": author.id if author else system.user,
            "name": author.name if author else system.user,
            "address": author.address if author else "",
        },
        "mailbox": {
            "name": mailbox.name,
            "address": mailbox.address,
            "display_name": mailbox.display_name,
        },
    }
    signature = (
        signature_of(mailbox, language, context, system.root, system.sandbox)
        if asked.sign
        else Signature()
    )
    html, images = embed_images(asked.html) if asked.html is not None else (None, ())
    body = ready_html(html) if html is not None else None
    said = asked.text if asked.text is not None else plain_twin(body or "")
    quotation = _quotation(asked, language)
    marked = f"-- \n{signature.text}" if signature.text else ""
    text = "\n\n".join(
        one for one in (said.strip("\n"), marked, quotation.text if quotation else "") if one
    )
    if body is None and asked.forwards is not None:
        body = as_html(asked.text or "")
    if body is not None:
        below = (signature.html, quotation.html if quotation else "")
        body = "<br>".join(one for one in (body, *below) if one)
    shown = tuple(
        one
        for one in (*images, *signature.images, *files)
        if one.inline and body is not None and f"cid:{one.content_id}" in body
    )
    passed_on = () if asked.forwards is None else tuple(one for one in files if one not in shown)
    mail = asked.answers
    return Letter(
        mailbox=mailbox,
        carriers=Carriers(""),
        cause=f"hand:{uuid.uuid4().hex}",
        author=system.user,
        date=clock.now(),
        to=tuple(one.address for one in people.to),
        cc=tuple(one.address for one in people.cc),
        bcc=tuple(one.address for one in people.bcc),
        text=text + "\n",
        html=body,
        attachments=(*_once(shown), *asked.attachments, *passed_on),
        in_reply_to=mail.message_id if mail is not None else None,
        references=(*mail.references, *filter(None, [mail.message_id])) if mail else (),
        answers=mail.id if mail is not None else None,
        record=asked.record,
        noted=asked.record is not None
        and system.tables.entity(asked.record.entity).activity_stream,
    )


def _once(parts: Sequence[Attachment]) -> tuple[Attachment, ...]:
    return tuple({part.content_id: part for part in parts}.values())


def _quotation(asked: Asked, language: str) -> Quotation | None:
    if asked.forwards is not None:
        return forward_of(_quotable(asked.forwards), language)
    if asked.answers is not None and asked.quote:
        return quote_of(_quotable(asked.answers), language)
    return None


def _quotable(mail: StoredMessage) -> Quotable:
    return Quotable(
        sender=mail.sender,
        sent_at=mail.sent_at or mail.received_at,
        subject=mail.subject,
        to=mail.to,
        cc=mail.cc,
        text=mail.text,
        html=mail.html,
        offset=_offset(mail),
    )


def _offset(mail: StoredMessage) -> int | None:
    """Minutes east of UTC, as the mail's own Date says."""
    for name, value in mail.headers:
        if name.lower() == "date":
            try:
                offset = parsedate_to_datetime(value).utcoffset()
            except (ValueError, TypeError, IndexError):
                return None
            return int(offset.total_seconds() // 60) if offset is not None else None
    return None


def _parts_of(tx: sa.Connection, asked: Asked) -> tuple[Attachment, ...]:
    """The attachments that come along: all of a mail that is passed on, of a quoted one its images.

    Raises
    ------
    ActionError
        When the bytes of one are lost: it would be missing unseen.
    """
    mail = asked.forwards or (asked.answers if asked.quote and asked.html is not None else None)
    if mail is None:
        return ()
    wanted = [one for one in mail.attachments if one.inline or asked.forwards is not None]
    files = blobs.get_whole(tx, [part.blob for part in wanted])
    lost = [part.filename for part in wanted if part.blob not in files]
    if lost:
        raise ActionError(
            f"The bytes of {', '.join(lost)} of message {mail.id} are lost or damaged",
            "Run: kolibri reconcile --repair; or answer without quoting: quote=False",
        )
    return tuple(
        Attachment(part.filename, part.content_type, files[part.blob], part.content_id, part.inline)
        for part in wanted
    )
