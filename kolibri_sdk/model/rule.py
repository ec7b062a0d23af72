"""Rules as values: when they hold, what they do, whom they write to (S3-S8, S24, S25)."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document
from kolibri_sdk.model.duration import Duration

__all__ = [
    "Action",
    "AddNote",
    "CallAction",
    "Change",
    "CreateRecord",
    "Digest",
    "Example",
    "InboundRule",
    "InboundRuleDocument",
    "OutboundRule",
    "OutboundRuleDocument",
    "Recipient",
    "RuleState",
    "SendMail",
    "UpdateRecord",
]


class RuleState(StrEnum):
    """How far a rule has come."""

    DRAFT = "draft"  #: not run
    SHADOW = "shadow"  #: decides, does nothing
    ACTIVE = "active"


def _one_of(value: Document, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(value, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise ValueError(f"{what} is exactly one of {', '.join(names)}; found {found}")


class Recipient(Document):
    """One of the three kinds of recipients (S6)."""

    list_: str | None = Field(None, alias="list", description="comma-separated addresses")
    field: str | None = Field(None, description="field of the record: a user, an address, a list")
    js: str | None = Field(None, description="JavaScript: an address, a user, or a list of them")

    @model_validator(mode="after")
    def _one_kind(self) -> Recipient:
        _one_of(self, ("list_", "field", "js"), "a recipient")
        return self


class CreateRecord(Document):
    """Make a record; every value of ``set`` is a JavaScript expression."""

    entity: str
    set: dict[str, str] = Field(min_length=1)


class UpdateRecord(Document):
    """Change the record that the mail belongs to; values are JavaScript expressions."""

    set: dict[str, str] = Field(min_length=1)


class SendMail(Document):
    """Queue a mail from a template; about the record at hand, and with its reference."""

    template: str
    to: tuple[Recipient, ...] = Field(min_length=1)
    mailbox: str | None = Field(None, description="sends; without it the mailbox of the rule")

    @model_validator(mode="before")
    @classmethod
    def _a_single_recipient(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("to"), dict):
            return {**data, "to": [data["to"]]}
        return data


class AddNote(Document):
    """Write an entry into the record's activity stream; ``text`` is a JavaScript expression."""

    text: str


class CallAction(Document):
    """Call a Python function registered with ``@action``; arguments are JavaScript expressions."""

    name: str
    arguments: dict[str, str] = Field(default_factory=dict, alias="with")


class Action(Document):
    """One step of ``then``: exactly one of its fields is given."""

    create_record: CreateRecord | None = None
    update_record: UpdateRecord | None = None
    send_mail: SendMail | None = None
    add_note: AddNote | None = None
    call: CallAction | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Action:
        _one_of(self, tuple(type(self).model_fields), "an action")
        return self

    @property
    def kind(self) -> str:
        """The name of the one field that is given, such as ``create_record``."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    def scripts(self) -> dict[str, str]:
        """The JavaScript expressions whose values this action needs, by path.

        Examples
        --------
        >>> Action(add_note={"text": "message.subject"}).scripts()
        {'text': 'message.subject'}
        """
        if self.create_record or self.update_record:
            values = (self.create_record or self.update_record).set  # type: ignore[union-attr]
            return {f"set.{name}": source for name, source in values.items()}
        if self.send_mail:
            return {f"to.{i}": r.js for i, r in enumerate(self.send_mail.to) if r.js is not None}
        if self.add_note:
            return {"text": self.add_note.text}
        assert self.call is not None
        return {f"with.{name}": source for name, source in self.call.arguments.items()}


class Example(Document):
    """A golden case: this mail matches, or does not; ``kolibri check`` runs it."""

    mail: str = Field(description="an .eml file, relative to the rule's file")
    match: bool
    record: dict[str, Any] | None = Field(
        None, description="the record that the mail refers to, by a reference that counts as signed"
    )


def _digest(rule: Document, *fields: str) -> str:
    given = rule.model_dump(mode="json", by_alias=True, include=set(fields))
    text = json.dumps(given, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class InboundRuleDocument(Document):
    """``rules/inbound/MAILBOX/NAME.yaml``."""

    description: str = ""
    order: int = Field(description="rules of a mailbox are checked in this order; unique")
    state: RuleState = RuleState.ACTIVE
    when: str = Field(min_length=1, description="a JavaScript expression that is true or false")
    then: tuple[Action, ...] = ()
    stop: bool = Field(False, description="where it matches, later rules are skipped")
    on_error: Literal["continue", "stop"] = "continue"
    examples: tuple[Example, ...] = ()


class InboundRule(InboundRuleDocument):
    """An incoming rule of a mailbox (S24, S25)."""

    name: str
    mailbox: str
    order: int = 1000
    file: str = Field("", description="where it was read; empty where it was made in Python")

    def __init__(self, name: str | None = None, /, **data: Any) -> None:
        super().__init__(**data if name is None else {**data, "name": name})

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that changes what the rule does (not its examples or state)."""
        return _digest(self, "name", "mailbox", "order", "when", "then", "stop", "on_error")


Trigger = Literal["insert", "update", "close", "reopen", "delete"]


class Change(Document):
    """A trigger: the named field has another value than before."""

    change: str


class Digest(Document):
    """Several changes in one mail: from the first on they are gathered that long."""

    every: Duration = Field(description="how long changes are gathered: 1 hour")
    per: Literal["recipient", "record"] = Field(
        "recipient", description="one mail per recipient, or one per recipient and record"
    )


class OutboundRuleDocument(Document):
    """``rules/outbound/ENTITY/NAME.yaml``."""

    description: str = ""
    order: int = 100
    state: RuleState = RuleState.ACTIVE
    on: tuple[Trigger | Change, ...] = Field(min_length=1)
    when: str = Field("true", description="over record, old, changed, user; true or false")
    to: tuple[Recipient, ...] = Field(min_length=1)
    template: str
    mailbox: str
    delay: Duration | None = Field(
        None, description="the mail waits that long; then `when` is asked again: 10 minutes"
    )
    gather: Digest | None = Field(
        None, alias="digest", description="changes are gathered into one mail: 1 hour"
    )

    @model_validator(mode="before")
    @classmethod
    def _single_values(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("digest"), str):
            data = {**data, "digest": {"every": data["digest"]}}
        singles = {
            name: [data[name]]
            for name in ("on", "to")
            if name in data and not isinstance(data[name], list | tuple)
        }
        return {**data, **singles}

    @model_validator(mode="after")
    def _waits_in_one_way(self) -> OutboundRuleDocument:
        if self.delay is not None and self.gather is not None:
            raise ValueError("a rule has delay or digest, not both")
        return self


class OutboundRule(OutboundRuleDocument):
    """An outgoing rule of an entity (S5-S8)."""

    name: str
    entity: str
    file: str = ""

    def __init__(self, name: str | None = None, /, **data: Any) -> None:
        super().__init__(**data if name is None else {**data, "name": name})

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that changes what the rule does (not its state)."""
        names = ["name", "entity", "order", "on", "when", "to", "template", "mailbox"]
        # What a rule does not say leaves the digests as they were before it could be said.
        names += [name for name in ("delay", "gather") if getattr(self, name) is not None]
        return _digest(self, *names)

    @property
    def full_name(self) -> str:
        """Entity and name, such as ``incident/group-changed``: rules of two may share a name."""
        return f"{self.entity}/{self.name}"

    def scripts(self) -> dict[str, str]:
        """The JavaScript expressions of its recipients, by path such as ``to.0``."""
        return {f"to.{i}": r.js for i, r in enumerate(self.to) if r.js is not None}
