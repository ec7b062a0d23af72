"""What happened to records, read back: in order, in a time range, with who or what did it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from kolibri_sdk.frames import CHANGES, change_frame, events_of
from kolibri_sdk.model.entity import Entity, RecordKey
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store import Store, Tables, capture, past, watching
from kolibri_sdk.store.schema import event

RULE = Provenance.by_rule(4711, "create-incident", "3fa9c1d2e5b7" + "0" * 52)


@pytest.fixture
def tables(store: Store, incident: Entity) -> Tables:
    tables = Tables({"incident": incident})
    with store.write() as tx:
        tables.ensure(tx, "incident")
        watching.watch(tx, incident)
        with capture.caused_by(tx, RULE):
            one, _ = tables.insert(tx, "incident", {"title": "Printer", "status": "new"})
        tables.insert(tx, "incident", {"title": "VPN", "urgent": True})
        with capture.caused_by(tx, Provenance(user="Anna Weiss")):
            tables.update(tx, one, {"status": "closed"})
        tables.update(tx, one, {"status": "new"})
    return tables


def _changes(store: Store, tables: Tables, **asked: object) -> list[RecordEvent]:
    with store.read_only() as tx:
        return list(past.changes(tx, tables, "incident", **asked))  # type: ignore[arg-type]


def test_changes_are_told_oldest_first_with_what_caused_them(store: Store, tables: Tables) -> None:
    found = _changes(store, tables)

    assert [one.kind for one in found] == ["insert", "insert", "update", "update"]
    assert [one.provenance for one in found] == [
        Provenance(message=4711, rule="create-incident", digest="3fa9c1d2e5b7"),
        Provenance(),
        Provenance(user="Anna Weiss"),
        Provenance(),
    ]
    assert found[1].after is not None
    assert found[1].after["urgent"] is True, "as records have it, not as SQLite's JSON does"


def test_a_range_of_time_leaves_out_its_end(store: Store, tables: Tables) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    with store.write() as tx:
        for number in range(1, 5):
            moment = start + timedelta(hours=number)
            tx.execute(sa.update(event).where(event.c.id == number).values(at=moment))

    found = _changes(
        store, tables, since=start + timedelta(hours=2), until=start + timedelta(hours=4)
    )

    assert [one.id for one in found] == [2, 3]


def test_the_changes_of_one_record(store: Store, tables: Tables) -> None:
    found = _changes(store, tables, record=RecordKey(entity="incident", key="2"))

    assert [(one.kind, one.record.key) for one in found] == [("insert", "2")]


def test_many_changes_come_in_batches(
    store: Store, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "_BATCH", 2)

    assert [one.id for one in _changes(store, tables)] == [1, 2, 3, 4]


def test_a_frame_of_changes_leads_back_to_them(store: Store, tables: Tables) -> None:
    found = _changes(store, tables)

    frame = change_frame(found, tables.entities)

    assert list(frame.columns) == list(CHANGES)
    assert frame["happened"].tolist() == [
        ["insert"],
        ["insert"],
        ["close", "update"],
        ["reopen", "update"],
    ]
    assert frame["changed"].tolist() == [[], [], ["status"], ["status"]]
    assert frame["rule"].tolist()[0] == "create-incident"
    assert frame["user"].tolist()[2] == "Anna Weiss"
    assert list(events_of(frame)) == found


def test_a_table_that_is_gone_leaves_its_history(store: Store, tables: Tables) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("drop table incident")

    again = Tables(tables.entities)

    assert [one.kind for one in _changes(store, again)] == ["insert", "insert", "update", "update"]
