"""Records: tables made here, and tables that were there before, of whatever column types."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa

from kolibri_sdk.errors import ActionError, ConfigurationError, NotFound
from kolibri_sdk.model.entity import Entity, FieldType, RecordKey
from kolibri_sdk.store import Store, Tables, as_plain

DUE = datetime(2026, 5, 1, 10, tzinfo=timezone(timedelta(hours=2)))
ID = "2b6f0cc9-04d1-4a5b-9c3e-0f8e7a6b5c4d"
FOREIGN = """
    create table "Alte St""örung" (
        "Schlüssel %" {key} primary key,
        amount numeric(12, 2), day date, at timestamp, token uuid, short varchar(10),
        open boolean, note text not null, raw {bytes}
    )
"""


def of(entity: str, key: object) -> RecordKey:
    return RecordKey(entity=entity, key=str(key))


@pytest.fixture
def tables(incident: Entity) -> Tables:
    return Tables({"incident": incident})


@pytest.fixture
def foreign(store: Store) -> Tables:
    """A table that some other program made."""
    key, raw = ("integer", "blob") if store.is_sqlite else ("serial", "bytea")
    with store.write() as tx:
        tx.execute(sa.text(FOREIGN.format(key=key, bytes=raw)))
    fault = Entity(name="fault", table='Alte St"örung', key="Schlüssel %")
    return Tables({"fault": fault})


def test_a_record_is_made_read_and_changed(store: Store, tables: Tables) -> None:
    given = {
        "title": "Printer",
        "priority": 2,
        "cost": 1.5,
        "urgent": True,
        "due": DUE.isoformat(),
        "caller": "anna",
        "tags": ["a", {"b": None}],
        "status": "new",
    }
    with store.write() as tx:
        key, record = tables.insert(tx, "incident", given)
    due = DUE.astimezone(UTC).isoformat()
    assert key == of("incident", 1)
    assert record == {**given, "id": 1, "number": "INC-000001", "due": due}
    with store.write() as tx:
        assert tables.update(tx, key, {"status": "closed", "urgent": None})["status"] == "closed"
    with store.read() as tx:
        assert tables.get(tx, key) == {**record, "status": "closed", "urgent": None}
        assert [row["id"] for row in tables.select(tx, "incident")] == [1]


def test_numbers_follow_each_other(store: Store, tables: Tables) -> None:
    with store.write() as tx:
        for title in "abc":
            tables.insert(tx, "incident", {"title": title})
        numbers = [row["number"] for row in tables.select(tx, "incident")]
        found = tables.of_numbers(tx, "incident", ["INC-000002", "INC-999999"])
    assert numbers == ["INC-000001", "INC-000002", "INC-000003"]
    assert found == {"INC-000002": [of("incident", 2)]}


def test_a_number_of_ones_own(store: Store, tables: Tables) -> None:
    with store.write() as tx:
        _, record = tables.insert(tx, "incident", {"number": "X-9"})
    assert record["number"] == "X-9"


@pytest.mark.parametrize("key", ["2", "abc", "", "1x", "99999999999999999999999999"])
def test_one_that_is_not_there(store: Store, tables: Tables, key: str) -> None:
    with store.write() as tx:
        tables.insert(tx, "incident", {"title": "a"})
    missing = of("incident", key)
    with store.read() as tx:
        assert tables.find(tx, missing) is None
    with store.read() as tx, pytest.raises(NotFound, match=f"no record incident {key}"):
        tables.get(tx, missing)
    with store.write() as tx, pytest.raises(NotFound):
        tables.update(tx, missing, {"title": "b"})


def test_an_unknown_entity_has_near_names(store: Store, tables: Tables) -> None:
    with store.read() as tx, pytest.raises(NotFound, match="Did you mean 'incident'"):
        tables.select(tx, "incidnt")
    with store.read() as tx:
        assert tables.find(tx, of("incidnt", 1)) is None


@pytest.mark.parametrize("verb", ["insert", "update"])
@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("titel", "x", "no field 'titel'.*It has: caller, cost"),
        ("due", "tomorrow", "incident.due cannot hold 'tomorrow'.*ISO 8601"),
        ("due", "2026-05-01T10:00:00", "no time zone"),
        ("urgent", "perhaps", "neither true nor false"),
        ("due", 1_777_000_000, "incident.due cannot hold"),
        ("priority", {"a": 1}, "refused"),
        ("priority", 10**20, "refused"),
        ("number", "INC-000001", "(?s)refused.*columns of the table incident"),
    ],
)
def test_a_value_that_does_not_fit(
    store: Store, tables: Tables, verb: str, field: str, value: object, told: str
) -> None:
    with store.write() as tx:
        tables.insert(tx, "incident", {"title": "one"})
        key, _ = tables.insert(tx, "incident", {"title": "two"})
    if store.is_sqlite and field == "priority" and isinstance(value, dict):
        pytest.skip("SQLite takes any text into an integer column")
    with pytest.raises(ActionError, match=told), store.write() as tx:
        if verb == "insert":
            tables.insert(tx, "incident", {field: value})
        else:
            tables.update(tx, key, {field: value})


@pytest.mark.parametrize("evil", ["a\x00b", "a\ud800b"])
def test_no_text_of_a_rule_can_stop_the_store(store: Store, tables: Tables, evil: str) -> None:
    with store.write() as tx:
        _, record = tables.insert(tx, "incident", {"title": evil, "tags": [evil, {evil: evil}]})
    assert record["title"] == "a\ufffdb"
    assert record["tags"] == ["a\ufffdb", {"a\ufffdb": "a\ufffdb"}]


def test_a_foreign_table_is_taken_as_it_is(store: Store, foreign: Tables) -> None:
    given = {
        "amount": 12.5,
        "day": "2026-05-01",
        "token": ID,
        "short": 7,
        "open": False,
        "note": "ä%s",
    }
    with store.write() as tx:
        key, record = foreign.insert(tx, "fault", given)
    assert key == of("fault", 1)
    assert record["Schlüssel %"] == 1
    assert record["amount"] == 12.5
    assert record["day"] == "2026-05-01"
    assert UUID(record["token"]) == UUID(ID)
    assert record["short"] == "7"
    assert record["open"] is False
    assert record["note"] == "ä%s"
    with store.write() as tx:
        assert foreign.update(tx, key, {"day": None, "note": "b"})["day"] is None
    with store.read() as tx:
        assert foreign.get(tx, key)["note"] == "b"


def test_a_time_without_a_zone_is_utc(store: Store, foreign: Tables) -> None:
    with store.write() as tx:
        if not store.is_sqlite:
            tx.execute(sa.text("set local time zone 'Asia/Tokyo'"))
        _, record = foreign.insert(tx, "fault", {"note": "a", "at": DUE.isoformat()})
    assert record["at"] == "2026-05-01T08:00:00"


def test_a_foreign_table_is_numbered(store: Store, foreign: Tables) -> None:
    entity = foreign.entity("fault").model_copy(update={"number": "short", "number_format": "F{}"})
    tables = Tables({"fault": entity})
    with store.write() as tx:
        records = [tables.insert(tx, "fault", {"note": "a"}) for _ in range(2)]
    assert [(key.key, record["short"]) for key, record in records] == [("1", "F1"), ("2", "F2")]


@pytest.mark.parametrize("column", ["at", "day", "open", "amount", "token", "list"])
@pytest.mark.parametrize("junk", ["soon", 1_777_000_000, 1.5, "{"])
def test_a_value_that_means_nothing_is_read_as_it_is(
    store: Store, foreign: Tables, column: str, junk: object
) -> None:
    if not store.is_sqlite:
        pytest.skip("SQLite alone takes any value into any column")
    with store.write() as tx:
        tx.execute(sa.text("""alter table "Alte St""örung" add column list json"""))
        statement = f"""insert into "Alte St""örung" (note, "{column}") values ('a', :junk)"""
        tx.execute(sa.text(statement), {"junk": junk})
    with store.read() as tx:
        value = foreign.get(tx, of("fault", 1))[column]
        assert str(value).removesuffix(".0") == str(junk)
        assert len(foreign.select(tx, "fault")) == 1


def test_a_column_that_must_not_be_empty(store: Store, foreign: Tables) -> None:
    with pytest.raises(ActionError, match=r"(?i)fault was refused.*null"), store.write() as tx:
        foreign.insert(tx, "fault", {"amount": 1})


def test_bytes_are_left_out(store: Store, foreign: Tables) -> None:
    with store.write() as tx:
        table = foreign.ensure(tx, "fault")
        tx.execute(sa.insert(table).values(note="a", raw=b"\x00\xff"))
    with store.read() as tx:
        assert foreign.get(tx, of("fault", 1))["raw"] is None


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("text", "A 7/ü"),
        ("varchar(20)", "007"),
        ("numeric(8, 0)", "7"),
        ("bigint", "-7"),
        ("uuid", ID),
    ],
)
def test_keys_of_any_type(store: Store, kind: str, key: str) -> None:
    with store.write() as tx:
        tx.exec_driver_sql(f"create table thing (code {kind} primary key, title text)")
        tx.execute(sa.text(f"insert into thing values ('{key}', 'a')"))
    tables = Tables({"thing": Entity(name="thing", table="thing", key="code")})
    with store.write() as tx:
        assert tables.get(tx, of("thing", key))["title"] == "a"
        assert tables.update(tx, of("thing", key), {"title": "b"})["title"] == "b"
        assert tables.find(tx, of("thing", "8")) is None


def test_a_part_of_a_compound_key(store: Store) -> None:
    """The entity's key is one column; others of a compound key are ordinary fields."""
    with store.write() as tx:
        tx.exec_driver_sql("create table line (a integer, b integer, t text, primary key (a, b))")
        tx.exec_driver_sql("insert into line values (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z')")
    tables = Tables({"line": Entity(name="line", table="line", key="a")})
    with store.read() as tx:
        assert tables.get(tx, of("line", 2))["t"] == "z"
    with store.read() as tx, pytest.raises(ActionError, match="several rows"):
        tables.get(tx, of("line", 1))


def test_a_column_that_the_table_lacks(store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("create table thing (id integer primary key)")
    entity = Entity(name="thing", table="thing", fields={"title": FieldType.TEXT}, file="t.yaml")
    with pytest.raises(ConfigurationError, match=r"t.yaml: the table thing has no column 'title'"):
        with store.write() as tx:
            Tables({"thing": entity}).ensure(tx, "thing")


def test_a_view_of_the_table_that_was_rolled_back_is_forgotten(
    store: Store, tables: Tables
) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        tables.ensure(tx, "incident")
        raise RuntimeError
    tables.forget()
    with store.write() as tx:
        tables.insert(tx, "incident", {"title": "a"})


def test_other_entities_are_taken_at_once(store: Store, incident: Entity) -> None:
    tables = Tables({"incident": incident})
    with store.write() as tx:
        tables.insert(tx, "incident", {"title": "a"})
        tx.exec_driver_sql("create table other (id integer primary key, title text)")
    tables.use({"incident": Entity(name="incident", table="other")})
    with store.read() as tx:
        assert tables.select(tx, "incident") == []


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (
            datetime(2026, 5, 1, 10, tzinfo=timezone(timedelta(hours=2))),
            "2026-05-01T08:00:00+00:00",
        ),
        (datetime(2026, 5, 1, 10), "2026-05-01T10:00:00"),  # noqa: DTZ001 - a foreign table may hold such
        (date(2026, 5, 1), "2026-05-01"),
        (Decimal("1.50"), 1.5),
        ({"a": (1, Decimal(2))}, {"a": [1, 2.0]}),
        (UUID(ID), ID),
        (b"\xff", None),
        (memoryview(b"a"), None),
        (float("nan"), None),
        (Decimal("NaN"), None),
        (float("-inf"), None),
        (None, None),
        (True, True),
    ],
)
def test_plain_values(value: object, plain: object) -> None:
    assert as_plain(value) == plain
