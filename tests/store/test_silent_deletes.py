"""Rows that a writer deletes without saying so: by REPLACE, by TRUNCATE, by a foreign key."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from kolibri_sdk.model.entity import Entity
from kolibri_sdk.store import Store, capture, watching

#: The columns are called as the triggers' own SQL might call things.
COLUMNS = "id integer primary key, number text unique, t text, before text"
TICKET = Entity(name="ticket", table="ticket", key="id")
Told = tuple[str, str, Any, Any]


class Writer:
    """Another program, and what the triggers noted of it."""

    def __init__(self, store: Store, connection: Any) -> None:
        self.store, self.connection = store, connection

    def told_after(self, *statements: str) -> list[Told]:
        """Kind, key, and the title before and after, of what these statements changed."""
        with self.store.read() as tx:
            last = capture.latest(tx)
        for statement in statements:
            self.connection.execute(statement)
        with self.store.read() as tx:
            found = capture.pending(tx, 1000, max_attempts=3, after=last)
        return [
            (e.kind, e.record.key, (e.before or {}).get("t"), (e.after or {}).get("t"))
            for e in found
        ]

    def watch(self, entity: Entity, columns: str, more: str = "") -> None:
        self.connection.execute(f"create table {entity.table} ({columns}) {more}")
        with self.store.write() as tx:
            watching.watch(tx, entity)


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    url = make_url(store.url)
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connect: Callable[[], Any] = (
        (lambda: sqlite3.connect(str(url.database), isolation_level=None))
        if store.is_sqlite
        else (lambda: psycopg.connect(plain, autocommit=True))
    )
    with closing(connect()) as connection:
        one = Writer(store, connection)
        one.watch(TICKET, COLUMNS)
        connection.execute(
            "insert into ticket (id, number, t) values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z')"
        )
        yield one


@pytest.fixture
def on_sqlite(writer: Writer) -> Writer:
    if not writer.store.is_sqlite:
        pytest.skip("PostgreSQL has no REPLACE")
    return writer


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "insert or replace into ticket values (1, 'a', 'new', null)",
            [("update", "1", "x", "new")],
        ),
        ("insert or replace into ticket values (1, 'a', 'x', null)", []),
        (
            "insert or replace into ticket values (9, 'b', 'new', null)",
            [("insert", "9", None, "new"), ("delete", "2", "y", None)],
        ),
        (
            "insert or replace into ticket values (1, 'c', 'new', null)",
            [("update", "1", "x", "new"), ("delete", "3", "z", None)],
        ),
        (
            "update or replace ticket set number = 'b' where id = 1",
            [("delete", "2", "y", None), ("update", "1", "x", "x")],
        ),
        (
            "update or replace ticket set id = 1 where id = 3",
            [("delete", "1", "x", None), ("update", "1", "z", "z")],
        ),
        ("insert or ignore into ticket values (1, 'q', 'new', null)", []),
    ],
)
def test_what_a_replace_deletes_is_told(
    on_sqlite: Writer, statement: str, told: list[Told]
) -> None:
    assert sorted(on_sqlite.told_after(statement)) == sorted(told)


def test_a_row_that_was_only_in_the_way_is_not_told_as_deleted_later(on_sqlite: Writer) -> None:
    on_sqlite.told_after(
        "insert or ignore into ticket values (1, 'q', 'ignored', null)",
        "insert into ticket values (2, 'b', 'up', null)"
        " on conflict (number) do update set t = excluded.t",
    )

    assert on_sqlite.told_after(
        "insert into ticket values (7, 'g', 'new', null)",
        "update ticket set number = 'bb' where id = 2",
    ) == [("insert", "7", None, "new"), ("update", "2", "up", "up")]


def test_with_recursive_triggers_a_replace_is_told_once(on_sqlite: Writer) -> None:
    on_sqlite.connection.execute("pragma recursive_triggers = on")

    assert on_sqlite.told_after("insert or replace into ticket values (1, 'a', 'new', null)") == [
        ("delete", "1", "x", None),
        ("insert", "1", None, "new"),
    ]


def test_truncate_deletes_every_row(writer: Writer) -> None:
    """SQLite calls it DELETE without WHERE, which it does at one go where no trigger is."""
    statement = "delete from ticket" if writer.store.is_sqlite else "truncate ticket"

    told = writer.told_after(statement)

    assert sorted(told) == [(*("delete", str(n)), t, None) for n, t in enumerate("xyz", start=1)]


def test_partitions_are_watched_with_their_table(writer: Writer) -> None:
    if writer.store.is_sqlite:
        pytest.skip("SQLite has no partitions")
    part = Entity(name="part", table="part", key=("id", "y"))
    writer.watch(
        part, "id integer, t text, y integer, primary key (id, y)", "partition by list (y)"
    )
    writer.connection.execute("create table part1 partition of part for values in (1)")
    writer.connection.execute("create table part2 partition of part for values in (2)")
    with writer.store.write() as tx:
        assert watching.watch(tx, part), "a partition that was added is noticed"

    told = writer.told_after(
        "insert into part values (7, 'a', 1), (7, 'b', 2)",
        "update part1 set t = 'c'",
        "truncate part1",
        "truncate part",
    )

    assert told == [
        ("insert", "7/1", None, "a"),
        ("insert", "7/2", None, "b"),
        ("update", "7/1", "a", "c"),
        ("delete", "7/1", "c", None),
        ("delete", "7/2", "b", None),
    ]


def test_a_foreign_key_that_deletes_is_told(writer: Writer) -> None:
    child = Entity(name="child", table="child")
    if writer.store.is_sqlite:
        writer.connection.execute("pragma foreign_keys = on")
    parent = "ticket_id integer references ticket (id) on delete cascade"
    writer.watch(child, f"id integer primary key, {parent}, t text")

    told = writer.told_after(
        "insert into child values (5, 1, 'c')", "delete from ticket where id = 1"
    )

    assert sorted(told) == [
        ("delete", "1", "x", None),
        ("delete", "5", "c", None),
        ("insert", "5", None, "c"),
    ]


def test_a_number_without_end_stops_no_pass(writer: Writer) -> None:
    kind, value = ("real", "9e999") if writer.store.is_sqlite else ("float8", "'Infinity'")
    thing = Entity(name="thing", table="thing")
    writer.watch(thing, f"id integer primary key, size {kind}, t text")

    told = writer.told_after(f"insert into thing values (1, {value}, 'is -Inf')")

    assert told == [("insert", "1", None, "is -Inf")]
