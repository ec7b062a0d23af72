"""A reply about a record that was merged lands in the surviving one; chains and circles end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.model.message import Address
from kolibri_sdk.model.reference import Grade, ReferenceHit
from kolibri_sdk.reference.merged import MOST_MERGES
from kolibri_sdk.store import Store, Tables, upgrade
from tests.unit.reference.conftest import ANNA, EVE, Desk

MERGING = Entity(
    name="incident",
    table="incident",
    number="number",
    merged_into="parent",
    fields={"number": FieldType.TEXT, "title": FieldType.TEXT, "parent": FieldType.TEXT},
)


def of(key: object) -> RecordKey:
    return RecordKey(entity="incident", key=str(key))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Forty incidents whose field ``parent`` names the one they were merged into."""
    store = Store(f"sqlite:///{tmp_path / 'kolibri.db'}")
    upgrade(store)
    made = Desk(store)
    made.tables = Tables({"incident": MERGING})
    with store.write() as tx:
        tx.execute(sa.text("drop table incident"))
        for number in range(40):
            made.tables.insert(tx, "incident", {"title": str(number)})
    yield made
    store.close()


def merge(desk: Desk, ways: dict[int, Any]) -> None:
    with desk.store.write() as tx:
        for key, parent in ways.items():
            desk.tables.update(tx, of(key), {"parent": parent})


def lands(desk: Desk, key: int) -> RecordKey | None:
    """Where a reply to a mail about this record lands."""
    reply_to = desk.mint(of(key)).reply_to
    assert reply_to is not None
    return desk.find(to=(Address(reply_to),)).record


@pytest.mark.parametrize("parent", ["2", "INC-000002"])
def test_a_reply_to_a_merged_record_lands_in_the_surviving_one(desk: Desk, parent: str) -> None:
    carriers = desk.mint(of(1))
    merge(desk, {1: parent})
    assert carriers.reply_to is not None
    found = desk.find(to=(Address(carriers.reply_to),))
    assert found.hit is not None
    assert (found.record, found.hit.merged_from) == (of(2), of(1))
    assert found.hit.grade is Grade.SIGNED, "who is known to the merged one is known to both"
    for values in (
        {"in_reply_to": (carriers.message_id,)},
        {"html": carriers.marker},
        {"subject": carriers.subject("x")},
    ):
        assert desk.find(**values).record == of(2)
    stranger = desk.find(sender=EVE, html=carriers.marker)
    assert stranger.hit is not None
    assert stranger.hit.grade is Grade.STRANGER
    weak = desk.find(sender=EVE, subject="INC-000001").suggestions
    assert weak == (ReferenceHit(of(2), Grade.WEAK, "number", merged_from=of(1)),)


def test_who_is_known_to_the_surviving_record_is_known_to_the_merged_one(desk: Desk) -> None:
    carriers = desk.mint(of(1), to=Address("tom@example.org"))
    desk.mint(of(2), to=ANNA)
    merge(desk, {1: "2"})
    hit = desk.find(html=carriers.marker).hit
    assert hit is not None
    assert (hit.record, hit.grade) == (of(2), Grade.SIGNED)


def test_chains_end(desk: Desk) -> None:
    merge(desk, {n: str(n + 1) for n in range(1, 10)})
    assert lands(desk, 1) == of(10)
    assert lands(desk, 9) == of(10)
    assert lands(desk, 10) == of(10)


def test_a_chain_longer_than_any_real_one_leaves_the_record_where_it_is(desk: Desk) -> None:
    merge(desk, {n: str(n + 1) for n in range(1, MOST_MERGES + 5)})
    assert lands(desk, 1) == of(1)


def test_circles_end(desk: Desk) -> None:
    merge(desk, {1: "2", 2: "3", 3: "1", 4: "4", 5: "1"})
    assert lands(desk, 1) == of(1)
    assert lands(desk, 3) == of(3)
    assert lands(desk, 4) == of(4)
    assert lands(desk, 5) == of(5)


@pytest.mark.parametrize("parent", ["999", "INC-999999", "nonsense", "", None])
def test_merged_into_nothing_stays(desk: Desk, parent: str | None) -> None:
    merge(desk, {1: parent})
    assert lands(desk, 1) == of(1)


def test_the_last_record_of_a_chain_that_is_there(desk: Desk) -> None:
    merge(desk, {1: "2", 2: "3"})
    with desk.store.write() as tx:
        tx.execute(sa.text("delete from incident where id = 3"))
    assert lands(desk, 1) == of(2)
    with desk.store.write() as tx:
        tx.execute(sa.text("delete from incident where id = 1"))
    assert lands(desk, 1) is None


def test_a_field_that_there_is_not_is_a_mistake_in_the_file() -> None:
    with pytest.raises(ValueError, match="merged_into names the field 'nowhere'"):
        Entity(name="x", table="x", merged_into="nowhere", fields={"title": FieldType.TEXT})


def test_a_column_that_there_is_not_is_told(desk: Desk) -> None:
    bare = Entity(name="incident", table="incident", merged_into="nowhere")
    with (
        desk.store.write() as tx,
        pytest.raises(ConfigurationError, match="has no column 'nowhere'"),
    ):
        Tables({"incident": bare}).ensure(tx, "incident")
