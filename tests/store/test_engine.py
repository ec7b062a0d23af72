"""Opening the database: transactions, and the driver's errors in our words."""

from __future__ import annotations

import builtins
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk import checkpoint
from kolibri_sdk.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DiskFull,
    StoreError,
)
from kolibri_sdk.store import Store, blobs, upgrade
from tests.servers import free_port
from tests.servers.postgresql import NewDatabase
from tests.store.conftest import count


def test_what_is_written_is_there_for_others(store: Store, second: Store) -> None:
    with store.write() as tx:
        blobs.put(tx, [b"kept"])
    with second.read() as tx:
        assert count(tx, "kolibri_blob") == 1


def test_an_error_rolls_the_transaction_back(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        blobs.put(tx, [b"lost"])
        raise RuntimeError
    with store.read() as tx:
        assert count(tx, "kolibri_blob") == 0


def test_reading_commits_nothing(store: Store) -> None:
    with store.read() as tx:
        blobs.put(tx, [b"lost"])
    with store.read() as tx:
        assert count(tx, "kolibri_blob") == 0


def test_a_transaction_tells_where_it_stands(store: Store) -> None:
    reached: list[str] = []
    checkpoint.observe(reached.append)
    try:
        with store.write() as tx:
            blobs.put(tx, [b"kept"])
            assert reached == []
    finally:
        checkpoint.observe(None)
    assert reached == ["store.before_commit", "store.after_commit"]


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    with store.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_a_locked_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = Store(f"sqlite:///{path}", lock_wait=0.05)
    upgrade(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(DatabaseUnavailable, match=r"locked.*next pass tries again"):
            with store.write() as tx:
                blobs.put(tx, [b"later"])
        with store.read() as tx:  # readers are not disturbed
            assert count(tx, "kolibri_blob") == 0
    finally:
        other.close()
    with store.write() as tx:
        blobs.put(tx, [b"later"])
    store.close()


def test_a_new_database_that_somebody_else_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (id)")  # no WAL yet
    other.execute("BEGIN IMMEDIATE")
    store = Store(f"sqlite:///{path}")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    try:
        with store.read() as tx:
            assert tx.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
    finally:
        release.join()
        other.close()
        store.close()


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    import os

    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    upgrade(store)
    with store.write() as tx:
        blobs.put(tx, [b"kept"])
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
    with pytest.raises(DiskFull, match=r"full.*Free space") as told, store.write() as tx:
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages + 10}")
        blobs.put(tx, [os.urandom(1_000_000)])
    assert told.value.next_step
    store.close()
    again = Store(store.url)
    with again.read() as tx:
        assert count(tx, "kolibri_blob") == 1
    again.close()


def test_a_refused_statement_is_a_store_error(store: Store) -> None:
    with pytest.raises(StoreError, match="no_such_table"), store.write() as tx:
        tx.execute(sa.text("select * from no_such_table"))


def test_an_integrity_error_is_the_callers(store: Store) -> None:
    insert = sa.text("insert into kolibri_user (id, address, groups) values ('a', 'a@b', '[]')")
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.execute(insert)
        tx.execute(insert)


@pytest.mark.parametrize("url", ["kolibri.db", "", "sqlite:/", "://"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///FILE"):
        Store(url)


def test_a_database_that_is_not_supported() -> None:
    with pytest.raises(ConfigurationError, match=r"mysql is not supported.*SQLite or PostgreSQL"):
        Store("mysql://root@localhost/kolibri")


def test_a_misspelled_driver() -> None:
    with pytest.raises(ConfigurationError, match=r"no driver postgresql\+psykopg"):
        Store("postgresql+psykopg://localhost/kolibri")


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def without_psycopg(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "psycopg":
            raise ImportError(name)
        return import_module(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_psycopg)
    with pytest.raises(ConfigurationError, match=r'pip install "kolibri-sdk\[postgresql\]"'):
        Store("postgresql+psycopg://localhost/kolibri")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'missing' / 'a.db'}")
    with pytest.raises(DatabaseUnavailable, match="unable to open"), store.read():
        pass


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"This is a letter, not a database." * 100)
    store = Store(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(StoreError, match="not a database"), store.read():
        pass
    store.close()


def test_a_server_that_is_down() -> None:
    store = Store(f"postgresql+psycopg://kolibri@127.0.0.1:{free_port()}/kolibri")
    with pytest.raises(DatabaseUnavailable, match="next pass tries again"), store.read():
        pass


@pytest.mark.postgresql
def test_a_database_that_the_server_does_not_have(postgresql: NewDatabase) -> None:
    store = Store(postgresql().rpartition("/")[0] + "/missing")
    with pytest.raises(DatabaseUnavailable, match=r'"missing" does not exist.*Compare'):
        with store.read():
            pass


@pytest.mark.postgresql
def test_a_line_that_is_cut_comes_back(postgresql: NewDatabase) -> None:
    store = Store(postgresql())
    with pytest.raises(DatabaseUnavailable), store.write() as tx:
        tx.execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))
    with store.read() as tx:
        assert tx.execute(sa.text("select 1")).scalar() == 1
    store.close()


@pytest.mark.postgresql
def test_a_lock_that_takes_too_long_is_unavailable(postgresql: NewDatabase) -> None:
    store = Store(postgresql())
    with store.write() as tx:
        tx.execute(sa.text("create table pair (id int primary key, n int)"))
        tx.execute(sa.text("insert into pair values (1, 0), (2, 0)"))
    with store.write() as tx, pytest.raises(DatabaseUnavailable, match="lock timeout"):
        tx.execute(sa.text("update pair set n = 1 where id = 1"))
        with store.write() as other:
            other.execute(sa.text("set local lock_timeout = '20ms'"))
            other.execute(sa.text("update pair set n = 2 where id = 1"))
    store.close()


def test_a_password_is_never_shown() -> None:
    store = Store("postgresql+psycopg://anna:s3cret@localhost/kolibri")
    assert "s3cret" not in repr(store)
    assert "***" in repr(store)
