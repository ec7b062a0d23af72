"""A database with one entity, and mails as the parser leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import clock
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.message import Address, Direction, MessageState
from kolibri_sdk.model.stored import StoredMessage
from kolibri_sdk.reference import Carriers, Reference, find_references, mint_carriers
from kolibri_sdk.store import Store, Tables, messages, upgrade

SUPPORT = Mailbox.model_validate(
    {
        "name": "support",
        "address": "support@kolibri.example",
        "plus_addressing": True,
        "outbound": {"protocol": "maildir", "path": "out"},
    }
)
INCIDENT = Entity(
    name="incident",
    table="incident",
    number="number",
    fields={"number": FieldType.TEXT, "title": FieldType.TEXT},
)
OWN = {"support@kolibri.example"}
SEVEN = RecordKey(entity="incident", key="1")
EIGHT = RecordKey(entity="incident", key="2")
ANNA = Address("Anna@example.org", "Anna")
EVE = Address("eve@example.net")


def message(**values: object) -> StoredMessage:
    """A mail from Anna that has come in."""
    given = {
        "id": 0,
        "direction": Direction.IN,
        "mailbox": "support",
        "state": MessageState.PARSED,
        "received_at": clock.now(),
        "size": 1,
        "blob": None,
        "sender": ANNA,
        **values,
    }
    return StoredMessage(**given)  # type: ignore[arg-type]


class Desk:
    """Two incidents, about which Anna was written to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tables = Tables({"incident": INCIDENT})
        with store.write() as tx:
            for title in ("seven", "eight"):
                self.tables.insert(tx, "incident", {"title": title})
        self._number = 1_000

    def mint(
        self, record: RecordKey = SEVEN, mailbox: Mailbox = SUPPORT, to: Address = ANNA
    ) -> Carriers:
        """The carriers of a mail about this record, which goes out to Anna."""
        with self.store.write() as tx:
            values = self.tables.find(tx, record) or {}
            carriers = mint_carriers(tx, mailbox, INCIDENT, record, values)
            self._number += 1
            messages.insert_outgoing(
                tx,
                number=self._number,
                mailbox=mailbox.name,
                message_id=carriers.message_id,
                sender=Address(mailbox.address),
                to=[to],
                record=record,
            )
        return carriers

    def find(self, **values: object) -> Reference:
        """What the references of such a mail come to."""
        with self.store.read() as tx:
            (found,) = find_references(tx, self.tables, [message(**values)], OWN)
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = Store(f"sqlite:///{tmp_path / 'kolibri.db'}")
    upgrade(store)
    yield Desk(store)
    store.close()
