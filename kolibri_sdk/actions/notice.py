"""From an outgoing rule that matched a change to the mail that it wants sent (S5-S8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kolibri_sdk.actions.scene import automatic_senders, template_context
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.change import change_binding
from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.rule import OutboundRule
from kolibri_sdk.model.stored import RecordEvent, StoredMessage
from kolibri_sdk.model.template import Template
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import MailRequest, Provoked, Resolved
from kolibri_sdk.rulebook import Rulebook

__all__ = ["digest_request", "notice_request", "sending", "unwanted"]


def sending(book: Rulebook, rule: OutboundRule) -> tuple[Mailbox, Template]:
    """The mailbox and the template of a rule.

    Raises
    ------
    ActionError
        When one of them is missing, or its file is faulty.
    """
    mailbox, template = book.mailboxes.get(rule.mailbox), book.templates.get(rule.template)
    if mailbox is None or template is None:
        missing = f"mailbox {rule.mailbox!r}" if mailbox is None else f"template {rule.template!r}"
        raise ActionError(
            f"Rule {rule.name} ({rule.file or 'no file'}): there is no usable {missing}",
            "Run: kolibri check",
        )
    return mailbox, template


def unwanted(book: Rulebook, provoking: StoredMessage | None) -> dict[str, str]:
    """The addresses, lower case, that must not get the mail, and why.

    Parameters
    ----------
    provoking : StoredMessage or None
        The mail that came in and, by a rule, caused the change.
    """
    return book.own_addresses() | (automatic_senders(provoking) if provoking else {})


def notice_request(
    book: Rulebook,
    rule: OutboundRule,
    event: RecordEvent,
    to: Resolved,
    *,
    record: Mapping[str, Any] | None = None,
    provoking: StoredMessage | None = None,
    record_link: str = "",
) -> MailRequest:
    """The mail about one change.

    Parameters
    ----------
    record : mapping, optional
        The record as it is by now, where the mail was delayed; else as the change left it.

    Raises
    ------
    ActionError
        As with ``sending``.
    """
    mailbox, template = sending(book, rule)
    fields = dict(record if record is not None else event.after or event.before or {})
    context = template_context(
        book, mailbox.name, event.record, fields, old=event.before, record_link=record_link
    )
    return MailRequest(
        mailbox=mailbox,
        template=template,
        to=to,
        cause=f"event:{event.id}/rule:{rule.name}",
        context=context,
        entity=_entity(book, event),
        record_key=event.record,
        record=fields,
        provoked=Provoked.by(provoking, provoking.record, provoking.grade) if provoking else None,
        rule=rule.full_name,
    )


def digest_request(
    book: Rulebook,
    rule: OutboundRule,
    events: Sequence[RecordEvent],
    to: Resolved,
    cause: str,
    *,
    people: Mapping[str, User] | None = None,
    record_link: str = "",
) -> MailRequest:
    """The one mail about several changes, oldest first; templates find them in ``events``.

    It is about a record, and carries its reference, where all the changes are of one.

    Raises
    ------
    ActionError
        As with ``sending``.
    """
    mailbox, template = sending(book, rule)
    last = events[-1]
    fields = dict(last.after or last.before or {})
    told = list(_told(book, mailbox.name, events, people or {}, record_link))
    alone = len({event.record for event in events}) == 1
    context = template_context(
        book, mailbox.name, last.record, fields, old=events[0].before, record_link=record_link
    )
    return MailRequest(
        mailbox=mailbox,
        template=template,
        to=to,
        cause=cause,
        context={**context, "events": told},
        entity=_entity(book, last) if alone else None,
        record_key=last.record if alone else None,
        record=fields if alone else {},
        rule=rule.full_name,
    )


def _told(
    book: Rulebook,
    mailbox: str,
    events: Iterable[RecordEvent],
    people: Mapping[str, User],
    record_link: str,
) -> Iterable[dict[str, Any]]:
    for event in events:
        entity = book.entities.get(event.record.entity)
        seen = change_binding(event, people)
        happened = entity.happened(event.kind, event.before, event.after) if entity else set()
        yield {
            **seen,
            "happened": sorted(happened or {event.kind}),
            "at": event.at.isoformat(),
            "link": template_context(
                book, mailbox, event.record, seen["record"], record_link=record_link
            )["link"],
        }


def _entity(book: Rulebook, event: RecordEvent) -> Entity | None:
    return book.entities.get(event.record.entity)
