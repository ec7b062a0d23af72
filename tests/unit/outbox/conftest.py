"""A database, a mailbox, a template in two languages, and an incident."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.stored import OutboxItem
from kolibri_sdk.model.template import Template, TemplateVariant
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import MailRequest, Person, Resolved
from kolibri_sdk.store import Store, outbox, upgrade

SUPPORT = Mailbox.model_validate(
    {
        "name": "support",
        "address": "support@kolibri.example",
        "display_name": "Help, Desk",
        "language": "en",
        "answers_per_hour": 2,
        "outbound": {"protocol": "maildir", "path": "out"},
    }
)
INCIDENT = Entity(
    name="incident", table="incident", number="number", fields={"number": FieldType.TEXT}
)
SEVEN = RecordKey(entity="incident", key="7")
HELLO = Template(
    "hello",
    {
        "de": TemplateVariant("de", "Hallo {{ record.title }}", text="Hallo {{ user.name }}"),
        "en": TemplateVariant("en", "Hello {{ record.title }}", html="<p>{{ record.title }}</p>"),
    },
)
ANNA = Person(
    Address("anna@example.org", "Anna"), User("anna", "anna@example.org", "Anna", "de-AT")
)
BOB = Person(Address("bob@example.org"), User("bob", "bob@example.org", "", "fr"))
EVE = Person(Address("eve@example.net"))


def request(*people: Person, **values: Any) -> MailRequest:
    """A mail to these people about incident 7."""
    given = {
        "mailbox": SUPPORT,
        "template": HELLO,
        "cause": "message:1/rule:vpn/0",
        "context": {"record": {"title": "Drücker <1>"}, "mailbox": {"name": "support"}},
        "entity": INCIDENT,
        "record_key": SEVEN,
        "record": {"number": "INC-000007"},
        **values,
    }
    return MailRequest(to=Resolved(people), **given)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'kolibri.db'}")
    upgrade(opened)
    yield opened
    opened.close()


def items(store: Store) -> list[OutboxItem]:
    """Everything that is due, whenever that is."""
    with store.write() as tx:
        tx.execute(sa.text("update kolibri_outbox set due_at = '2000-01-01 00:00:00.000000'"))
        return outbox.due(tx, 100)
