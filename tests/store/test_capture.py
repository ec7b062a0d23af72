"""Changes of records, by whatever program: noted with it, or not at all (S5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from kolibri_sdk.model.entity import Entity
from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.model.stored import RecordEvent
from kolibri_sdk.store import Store, Tables, capture, watching
from tests.store.conftest import count

Writer = Callable[[], Any]  # gives a context manager of a plain DB-API connection
TICKET = Entity(name="ticket", table="ticket", key="id")


@pytest.fixture
def writer(store: Store) -> Writer:
    """A program that knows nothing of Kolibri: the bare driver."""
    url = make_url(store.url)

    @contextmanager
    def connect() -> Iterator[Any]:
        if store.is_sqlite:
            with closing(sqlite3.connect(str(url.database))) as connection:
                yield connection
        else:
            plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(plain) as connection:
                yield connection

    return connect


def _make(store: Store, entity: Entity, columns: str) -> None:
    name = entity.table.replace('"', '""')
    with store.write() as tx:
        tx.execute(sa.text(f'create table "{name}" ({columns})'))
        assert watching.watch(tx, entity)


@pytest.fixture
def ticket(store: Store) -> Entity:
    _make(store, TICKET, "id integer primary key, title text, level integer, open boolean")
    return TICKET


def _events(store: Store) -> list[RecordEvent]:
    with store.read() as tx:
        return capture.pending(tx, 10_000, max_attempts=3)


def _write(writer: Writer, *statements: str) -> None:
    with writer() as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_insert_update_delete(store: Store, writer: Writer, ticket: Entity) -> None:
    _write(
        writer,
        "insert into ticket (id, title, level) values (7, 'ä', 1)",
        "update ticket set level = 2",
        "delete from ticket",
    )
    made, changed, gone = _events(store)
    assert [e.kind for e in (made, changed, gone)] == ["insert", "update", "delete"]
    assert {str(e.record) for e in (made, changed, gone)} == {"ticket 7"}
    assert made.before is None
    assert made.after == {"id": 7, "title": "ä", "level": 1, "open": None}
    assert changed.before == made.after
    assert changed.after == {**made.after, "level": 2}
    assert changed.changed == ("level",)
    assert (gone.before, gone.after) == (changed.after, None)
    assert made.cause is None
    assert abs(made.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_is_rolled_back_was_never_announced(
    store: Store, writer: Writer, ticket: Entity
) -> None:
    with writer() as connection:
        connection.execute("insert into ticket (id) values (1)")
        connection.rollback()
    assert _events(store) == []


def test_an_update_that_changes_nothing_is_none(
    store: Store, writer: Writer, ticket: Entity
) -> None:
    _write(
        writer,
        "insert into ticket (id, level) values (1, 1)",
        "update ticket set level = 1",
        "update ticket set title = null",
    )
    assert [e.kind for e in _events(store)] == ["insert"]


def test_a_change_to_and_from_nothing_is_one(store: Store, writer: Writer, ticket: Entity) -> None:
    _write(
        writer,
        "insert into ticket (id, level) values (1, 1)",
        "update ticket set level = null",
        "update ticket set level = 0",
    )
    assert [e.changed for e in _events(store)[1:]] == [("level",), ("level",)]


def test_one_statement_many_events(store: Store, writer: Writer, ticket: Entity) -> None:
    with writer() as connection:
        mark = "?" if store.is_sqlite else "%s"
        connection.cursor().executemany(
            f"insert into ticket (id, level) values ({mark}, 0)", [(n,) for n in range(500)]
        )
        connection.execute("update ticket set level = id where id < 300")
        connection.commit()
    events = _events(store)
    assert [e.kind for e in events].count("insert") == 500
    assert [e.kind for e in events].count("update") == 299  # id 0 had level 0 already
    assert [e.id for e in events] == sorted(e.id for e in events)


def test_a_column_added_later_is_seen(store: Store, writer: Writer, ticket: Entity) -> None:
    with store.write() as tx:
        assert watching.watched(tx, ticket)
        assert not watching.watch(tx, ticket)
        tx.execute(sa.text("alter table ticket add column cost integer"))
    with store.write() as tx:
        assert watching.watch(tx, ticket) is store.is_sqlite  # PostgreSQL's reads the whole row
        assert watching.watched(tx, ticket)
    _write(
        writer,
        "insert into ticket (id, cost) values (1, 5)",
        "update ticket set cost = 6",
    )
    assert [e.after and e.after["cost"] for e in _events(store)] == [5, 6]


def test_a_trigger_that_was_dropped_or_belongs_to_other_words_is_renewed(
    store: Store, writer: Writer, ticket: Entity
) -> None:
    renamed = ticket.model_copy(update={"name": "request"})
    with store.write() as tx:
        assert watching.watch(tx, renamed)
        assert not watching.watch(tx, renamed)
    _write(writer, "insert into ticket (id) values (1)")
    assert [e.record.entity for e in _events(store)] == ["request"]


ODD = Entity(name='Störung "x"', table='It\'s 100% "alt"', key="Schlüssel 'ß'")


def test_names_with_quotes_umlauts_and_spaces(store: Store, writer: Writer) -> None:
    key = ODD.key
    _make(store, ODD, f'"{key}" text primary key, "a ""b"" $capture$" text, "100%" integer')
    with store.write() as tx:
        assert watching.watched(tx, ODD)
        tx.execute(sa.text('alter table "It\'s 100% ""alt""" add column later integer'))
        watching.watch(tx, ODD)
        assert watching.watched(tx, ODD)
    _write(writer, 'insert into "It\'s 100% ""alt""" values (\'ü 1\', \'x\', 3, 4)')
    (made,) = _events(store)
    assert (made.record.entity, made.record.key) == (ODD.name, "ü 1")
    assert made.after == {key: "ü 1", 'a "b" $capture$': "x", "100%": 3, "later": 4}


def test_long_table_names_do_not_meet(store: Store, writer: Writer) -> None:
    same = "a_table_of_the_old_system_with_a_name_that_goes_on_and_on_"
    one, two = (Entity(name=n, table=f"{same}{n}") for n in ("one", "two"))
    for entity in (one, two):
        _make(store, entity, "id integer primary key")
    with store.write() as tx:
        assert not watching.watch(tx, one)
        assert not watching.watch(tx, two)
    _write(writer, f"insert into {one.table} values (1)", f"insert into {two.table} values (2)")
    assert [str(e.record) for e in _events(store)] == ["one 1", "two 2"]


def test_a_wide_table(store: Store, writer: Writer) -> None:
    columns = ", ".join(f"c{n} integer" for n in range(200))
    _make(store, TICKET, f"id integer primary key, {columns}")
    _write(writer, "insert into ticket (id, c150) values (1, 5)", "update ticket set c199 = 6")
    made, changed = _events(store)
    assert made.after is not None
    assert len(made.after) == 201
    assert made.after["c150"] == 5
    assert changed.changed == ("c199",)


def test_bytes_in_a_text_column_do_not_stop_the_writer(store: Store, writer: Writer) -> None:
    if not store.is_sqlite:
        pytest.skip("PostgreSQL's columns have types")
    _make(store, TICKET, "id integer primary key, title text")
    _write(writer, "insert into ticket values (1, x'ff00')")
    (made,) = _events(store)
    assert made.after == {"id": 1, "title": None}


def test_columns_of_bytes_are_left_out(store: Store, writer: Writer) -> None:
    kind = "blob" if store.is_sqlite else "bytea"
    _make(store, TICKET, f"id integer primary key, scan {kind}")
    value = "x'ff00'" if store.is_sqlite else r"'\xff00'"
    _write(writer, f"insert into ticket values (1, {value})")
    with store.read() as tx:
        tables = Tables({"ticket": TICKET})
        (made,) = capture.pending(tx, 9, max_attempts=3)
        assert made.after is not None
        assert tables.plain(tx, "ticket", made.after).get("scan") is None


def test_events_speak_as_records_do(store: Store, incident: Entity) -> None:
    """A condition sees the same values, whether the record is read or its change is."""
    tables = Tables({"incident": incident})
    with store.write() as tx:
        tables.ensure(tx, "incident")
        watching.watch(tx, incident)
        _, record = tables.insert(
            tx,
            "incident",
            {"urgent": True, "due": "2026-05-01T10:00:00+02:00", "tags": ["a"], "cost": 1.5},
        )
    (made,) = _events(store)
    assert made.after is not None
    with store.read() as tx:
        assert tables.plain(tx, "incident", made.after) == record


def test_events_of_a_foreign_table_speak_as_records_do(store: Store) -> None:
    _make(
        store,
        TICKET,
        "id integer primary key, at timestamp, day date, open boolean, cost numeric(9, 2)",
    )
    tables = Tables({"ticket": TICKET})
    given = {
        "id": 1,
        "at": "2026-05-01T10:00:00+02:00",
        "day": "2026-05-01",
        "open": True,
        "cost": 1.5,
    }
    with store.write() as tx:
        _, record = tables.insert(tx, "ticket", given)
    (made,) = _events(store)
    assert made.after is not None
    with store.read() as tx:
        assert tables.plain(tx, "ticket", made.after) == record


@pytest.mark.parametrize("junk", ["'soon'", "1777000000"])
def test_a_time_that_is_none_stays_what_it_is(store: Store, writer: Writer, junk: str) -> None:
    if not store.is_sqlite:
        pytest.skip("PostgreSQL's columns have types")
    _make(store, TICKET, "id integer primary key, at timestamp")
    _write(writer, f"insert into ticket values (1, {junk})")
    (made,) = _events(store)
    assert made.after is not None
    with store.read() as tx:
        plain = Tables({"ticket": TICKET}).plain(tx, "ticket", made.after)
    assert repr(plain["at"]) == junk


def test_the_cause_is_noted_and_does_not_stick(store: Store, ticket: Entity) -> None:
    insert = sa.text("insert into ticket (id) values (:id)")
    with store.write() as tx:
        with capture.caused_by(tx, Provenance(message=4711)):
            tx.execute(insert, {"id": 1})
        tx.execute(insert, {"id": 2})
    with store.write() as tx:
        tx.execute(insert, {"id": 3})
        assert count(tx, "kolibri_provenance") == 0
    assert [e.cause for e in _events(store)] == ["message:4711", None, None]


def test_the_cause_of_a_failed_transaction_does_not_stick(store: Store, ticket: Entity) -> None:
    insert = sa.text("insert into ticket (id) values (:id)")
    with (
        pytest.raises(RuntimeError),
        store.write() as tx,
        capture.caused_by(tx, Provenance(message=1)),
    ):
        tx.execute(insert, {"id": 1})
        raise RuntimeError
    with store.write() as tx:  # the same connection from the pool
        tx.execute(insert, {"id": 2})
    assert [(e.record.key, e.cause) for e in _events(store)] == [("2", None)]


def test_a_writer_of_another_schema_and_role(
    on_postgresql: Store, writer: Writer, ticket: Entity
) -> None:
    """The ticket system's own role has no right on our tables, and looks elsewhere for its own."""
    _write(
        writer,
        "do $$ begin create role desk; exception when duplicate_object then null; end $$",
        "create schema desk authorization desk",
        "grant select, insert, update, delete on ticket to desk",
        "grant usage on schema public to desk",
    )
    _write(
        writer,
        "set role desk",
        "set search_path to desk",
        "insert into public.ticket (id) values (1)",
    )
    assert [str(e.record) for e in _events(on_postgresql)] == ["ticket 1"]


def test_an_event_is_finished_once(store: Store, writer: Writer, ticket: Entity) -> None:
    _write(writer, "insert into ticket (id) values (1)")
    (event,) = _events(store)
    with store.write() as tx:
        assert capture.finish(tx, event.id)
        assert not capture.finish(tx, event.id)
        assert not capture.finish(tx, event.id, error="late")
    assert _events(store) == []


def test_a_failed_event_is_tried_again(store: Store, writer: Writer, ticket: Entity) -> None:
    _write(writer, "insert into ticket (id) values (1)")
    for _ in range(3):
        (event,) = _events(store)
        with store.write() as tx:
            assert capture.finish(tx, event.id, error="no template")
    assert _events(store) == []
