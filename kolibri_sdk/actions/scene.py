"""Where an action happens: one message, one transaction, and what it may do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.binding import message_binding
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.model.rule import InboundRule, SendMail
from kolibri_sdk.model.stored import ActivityEntry, StoredMessage
from kolibri_sdk.outbox import MailRequest, Provoked, Queued, Resolved, enqueue, resolve
from kolibri_sdk.rulebook import Rulebook
from kolibri_sdk.store import Tables, activity

__all__ = ["ActionScene", "automatic_senders", "template_context"]


@dataclass(slots=True)
class ActionScene:
    """What the actions of all rules on one message share.

    Attributes
    ----------
    message : StoredMessage
        The mail that the rules matched.
    record_key, record : RecordKey, dict or None
        The record at hand: the one of the reference, or the last one made or changed here.
    """

    tx: sa.Connection
    tables: Tables
    rulebook: Rulebook
    message: StoredMessage
    hit: ReferenceHit | None = None
    record_key: RecordKey | None = None
    record: dict[str, Any] | None = None
    record_link: str = ""
    cause: str = ""
    applied_by: str = ""  #: who had the rule applied by hand; empty where the poller did
    again: int = 0  #: how often the rule has acted on this mail before, where that was wanted
    created: list[RecordKey] = field(default_factory=list)
    _written: dict[tuple[RecordKey, str], tuple[str, Any]] = field(default_factory=dict)

    def create_record(self, entity: str, values: Mapping[str, Any]) -> RecordKey:
        """Make a record; it is the one at hand from here on."""
        self.record_key, self.record = self.tables.insert(self.tx, entity, values)
        self.created.append(self.record_key)
        self._note("created", f"Made from the mail: {self.message.subject}")
        return self.record_key

    def update_record(self, values: Mapping[str, Any], rule: str = "") -> list[str]:
        """Change the record at hand; the conflicts with what another rule set on this message."""
        key = self._require_record("update_record")
        conflicts = []
        for name, value in values.items():
            earlier = self._written.get((key, name))
            if earlier and earlier[0] != rule and earlier[1] != value:
                conflicts.append(f"{name}: {earlier[0]} had set {earlier[1]!r}, now {value!r}")
            self._written[key, name] = (rule, value)
        self.record = self.tables.update(self.tx, key, values)
        changed = ", ".join(f"{name} = {value}" for name, value in values.items())
        self._note("changed", changed)
        return conflicts

    def add_note(self, text: str) -> None:
        """Write an entry into the stream of the record at hand."""
        self._require_record("add_note")
        self._note("note", text)

    def send_mail(
        self, rule: InboundRule, step: int, mail: SendMail, values: Mapping[str, Any]
    ) -> Queued:
        """Queue a mail from a template, about the record at hand where there is one."""
        name = mail.mailbox or rule.mailbox
        mailbox, template = (
            self.rulebook.mailboxes.get(name),
            self.rulebook.templates.get(mail.template),
        )
        if mailbox is None or template is None:
            missing = f"mailbox {name!r}" if mailbox is None else f"template {mail.template!r}"
            raise ActionError(f"There is no usable {missing}", "Run: kolibri check")
        to = self._resolve(mail, values)
        answers = self.message.id if self._answers(to) else None
        request = MailRequest(
            mailbox=mailbox,
            template=template,
            to=to,
            cause=f"message:{self.message.id}/rule:{rule.name}/{step}{self._occasion}",
            context=template_context(
                self.rulebook,
                mailbox.name,
                self.record_key,
                self.record,
                message=message_binding(self.message, self.hit),
                record_link=self.record_link,
            ),
            entity=self.tables.entity(self.record_key.entity) if self.record_key else None,
            record_key=self.record_key,
            record=self.record or {},
            answers=answers,
            provoked=Provoked.by(
                self.message,
                self.hit.record if self.hit else None,
                self.hit.grade.value if self.hit else None,
            ),
        )
        return enqueue(self.tx, request)

    @property
    def _occasion(self) -> str:
        """The same cause is never mailed about twice, unless somebody wants just that."""
        return f"/again:{self.again}" if self.again else ""

    def _resolve(self, mail: SendMail, values: Mapping[str, Any]) -> Resolved:
        excluded = self.rulebook.own_addresses()
        excluded |= automatic_senders(self.message)
        return resolve(self.tx, mail.to, self.record, values, excluded)

    def _answers(self, to: Resolved) -> bool:
        sender = self.message.sender
        return sender is not None and any(
            person.address.address.lower() == sender.address.lower() for person in to.people
        )

    def _require_record(self, what: str) -> RecordKey:
        if self.record_key is None:
            raise ActionError(
                f"{what} needs a record, and message {self.message.id} belongs to none",
                "Put create_record before it, or ask for message.reference in the condition",
            )
        return self.record_key

    def _note(self, kind: str, text: str) -> None:
        key = self.record_key
        assert key is not None
        if not self.tables.entity(key.entity).activity_stream:
            return
        sender = self.message.sender or Address("")
        entry = ActivityEntry(
            record=key,
            kind=kind,
            at=clock.now(),
            text=text,
            author=self.applied_by or (sender.address if kind == "created" else ""),
            message=self.message.id,
            cause=self.cause,
        )
        activity.add(self.tx, [entry])


def automatic_senders(message: StoredMessage) -> dict[str, str]:
    """The addresses behind an automatic mail, which must get no answer (RFC 3834 section 2)."""
    if not message.automatic:
        return {}
    reason = f"wrote the automatic mail {message.id} ({message.kind.value}), which is not answered"
    people = [message.sender, *message.reply_to]
    addresses = {person.address.lower() for person in people if person}
    if message.return_path:
        addresses.add(message.return_path.lower())
    return dict.fromkeys(addresses, reason)


def template_context(
    rulebook: Rulebook,
    mailbox: str,
    key: RecordKey | None,
    record: Mapping[str, Any] | None,
    *,
    old: Mapping[str, Any] | None = None,
    message: Mapping[str, Any] | None = None,
    record_link: str = "",
) -> dict[str, Any]:
    """What a template sees, as plain data; ``user`` is added for each recipient."""
    box = rulebook.mailboxes[mailbox]
    link = ""
    if record_link and key is not None:
        entity = rulebook.entities.get(key.entity)
        number = (record or {}).get(entity.number) if entity and entity.number else None
        link = record_link.format(entity=key.entity, key=key.key, number=number or key.key)
    return {
        "record": dict(record) if record is not None else None,
        "old": dict(old) if old is not None else None,
        "message": dict(message) if message is not None else None,
        "mailbox": {
            "name": box.name,
            "address": box.address,
            "display_name": box.display_name,
        },
        "link": link,
    }
