"""A fresh database for each test: once SQLite, once PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from kolibri_sdk.model.entity import Closed, Entity, FieldType
from kolibri_sdk.model.message import Address, ParsedMail
from kolibri_sdk.store import Store, blobs, messages, upgrade
from kolibri_sdk.store.messages import Arrival
from tests.servers.postgresql import NewDatabase

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
BOTH = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kolibri.db'}"
    new_database: NewDatabase = request.getfixturevalue("postgresql")
    return new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A database at the newest schema."""
    opened = Store(url, lock_wait=5)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def second(store: Store) -> Iterator[Store]:
    """Another process's view of the same database, as near as a test can come."""
    opened = Store(store.url, lock_wait=5)
    yield opened
    opened.close()


@pytest.fixture
def on_postgresql(store: Store) -> Store:
    """The store, for what SQLite with its single writer cannot show."""
    if store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    return store


@pytest.fixture
def incident() -> Entity:
    """An entity whose table the store makes."""
    return Entity(
        name="incident",
        table="incident",
        number="number",
        closed=Closed(field="status", values=("closed",)),
        fields={
            "number": FieldType.TEXT,
            "title": FieldType.TEXT,
            "priority": FieldType.INTEGER,
            "cost": FieldType.NUMBER,
            "urgent": FieldType.BOOLEAN,
            "due": FieldType.DATETIME,
            "caller": FieldType.USER,
            "tags": FieldType.JSON,
            "status": FieldType.TEXT,
        },
    )


@pytest.fixture
def fetched(store: Store) -> Callable[..., list[int]]:
    """Enter mails as the poller does after fetching; their ids."""

    def enter(*contents: bytes, mailbox: str = "support") -> list[int]:
        with store.write() as tx:
            names = blobs.put(tx, contents)
            arrivals = [
                Arrival(name, len(data), MOMENT) for name, data in zip(names, contents, strict=True)
            ]
            return messages.insert_fetched(tx, mailbox, arrivals)

    return enter


def mail(subject: str = "Printer", **values: object) -> ParsedMail:
    """A parsed mail from Anna."""
    given = {"from_": (Address("anna@example.org", "Anna"),), "text": "It smokes.", **values}
    return ParsedMail(size=10, subject=subject, **given)  # type: ignore[arg-type]


def count(tx: sa.Connection, table: str) -> int:
    """How many rows a table has."""
    return int(tx.execute(sa.text(f'select count(*) from "{table}"')).scalar_one())
