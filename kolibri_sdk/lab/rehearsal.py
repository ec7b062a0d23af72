"""One mail's actions gone through on paper: what each would do, as `actions` would carry it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kolibri_sdk.actions import automatic_senders
from kolibri_sdk.errors import ActionError
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.rule import Action, InboundRule, SendMail
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.outbox import resolve_in

__all__ = ["Rehearsal"]


class Rehearsal:
    """The scene of one mail without a transaction: the record at hand, and what was set on it."""

    def __init__(self, mail: StoredMessage, surroundings: Surroundings) -> None:
        self.mail = mail
        self.conflicts: list[dict[str, Any]] = []
        self._around = surroundings
        held = surroundings.tied or mail.grade in _ATTACHED
        self._record: RecordKey | None = mail.record if held else None
        self._about = str(self._record) if self._record else ""
        self._entity = self._record.entity if self._record else ""
        self._fields: dict[str, Any] = dict(surroundings.records.get(mail.id) or {})
        self._known = self._record is None or mail.id in surroundings.records
        self._written: dict[tuple[str, str], tuple[str, Any]] = {}
        self._made = 0

    def perform(
        self, rule: InboundRule, step: int, action: Action, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What this action would do, by the columns of ``TRIAL_EFFECTS``.

        Raises
        ------
        ActionError
            Where it would fail.
        """
        given = _named(values, f"{step}.")
        if action.create_record:
            self._create(action.create_record.entity, _named(given, "set."))
            return {**self._at_hand(), "values": _named(given, "set.")}
        if action.send_mail:
            return {**self._at_hand(), **self._mail(rule, action.send_mail, given)}
        if action.call:
            return {**self._at_hand(), **self._call(action.call.name, _named(given, "with."))}
        if not self._about:
            raise ActionError(
                f"{action.kind} needs a record, and the mail belongs to none",
                "Put create_record before it, or ask for message.reference in the condition",
            )
        if action.update_record:
            return {**self._at_hand(), **self._update(rule.name, _named(given, "set."))}
        text = given["text"]
        return {**self._at_hand(), "text": text if isinstance(text, str) else str(text)}

    def _at_hand(self) -> dict[str, Any]:
        return {"about": self._about or None, "entity": self._entity or None}

    def _create(self, entity: str, values: dict[str, Any]) -> None:
        described = self._around.entities.get(entity)
        if self._around.entities and described is None:
            raise ActionError(f"There is no entity {entity!r}", "Run: kolibri check")
        self._made += 1
        self._about = f"new {entity}" + (f" {self._made}" if self._made > 1 else "")
        self._entity, self._known = entity, True
        self._fields = {**dict.fromkeys(described.fields if described else ()), **values}

    def _update(self, rule: str, values: dict[str, Any]) -> dict[str, Any]:
        before = {name: self._fields.get(name) for name in values} if self._known else None
        for name, value in values.items():
            earlier = self._written.get((self._about, name))
            if earlier and earlier[0] != rule and earlier[1] != value:
                self.conflicts.append(
                    {
                        "message": self.mail.id,
                        "record": self._about,
                        "field": name,
                        "earlier": earlier[0],
                        "earlier_value": earlier[1],
                        "later": rule,
                        "later_value": value,
                    }
                )
            self._written[self._about, name] = (rule, value)
        self._fields |= values
        return {"values": values, "before": before}

    def _mail(self, rule: InboundRule, mail: SendMail, given: Mapping[str, Any]) -> dict[str, Any]:
        sender = mail.mailbox or rule.mailbox
        for name, known, what in (
            (sender, self._around.mailboxes, "mailbox"),
            (mail.template, self._around.templates, "template"),
        ):
            if known is not None and name not in known:
                raise ActionError(f"There is no usable {what} {name!r}", "Run: kolibri check")
        excluded = {**self._around.own_addresses, **automatic_senders(self.mail)}
        resolved = resolve_in(self._around, mail.to, self._fields, given, excluded)
        return {
            "template": mail.template,
            "mailbox": sender,
            "to": [person.address.address for person in resolved.people],
            "dropped": [f"{one.value} {one.reason}" for one in resolved.dropped],
        }

    def _call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._around.actions is not None and name not in self._around.actions:
            raise ActionError(f"There is no Python action {name!r}", "Register it with @action")
        return {"text": name, "values": arguments}


_ATTACHED = frozenset({"signed", "stranger", "header"})


def _named(given: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The entries whose names begin so, without that beginning."""
    start = len(prefix)
    return {path[start:]: value for path, value in given.items() if path.startswith(prefix)}
