"""Migrations: from nothing to the newest schema, and never half of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.store import Store, require_current, schema_version, upgrade
from kolibri_sdk.store.schema import metadata
from kolibri_sdk.store.upgrade import newest

KILLED = """\
import os, signal, sys
from kolibri_sdk import checkpoint
from kolibri_sdk.store import Store, upgrade

def die(name):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.observe(die)
upgrade(Store(sys.argv[1]))
"""


@pytest.fixture
def empty(url: str) -> Iterator[Store]:
    """A database without any table."""
    opened = Store(url)
    yield opened
    opened.close()


def _tables(store: Store) -> set[str]:
    with store.read() as tx:
        return set(sa.inspect(tx).get_table_names())


def test_from_empty_to_newest(empty: Store) -> None:
    assert upgrade(empty) == (None, newest())
    assert {*metadata.tables, "kolibri_schema_version"} == _tables(empty)
    with empty.read() as tx:
        assert schema_version(tx) == newest()


def test_the_migrations_make_what_the_code_describes(empty: Store) -> None:
    upgrade(empty)
    with empty.read() as tx:
        context = MigrationContext.configure(
            tx,
            opts={
                "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
                # SQLite tells an empty default otherwise than it was written.
                "compare_server_default": not empty.is_sqlite,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_a_second_upgrade_does_nothing(empty: Store) -> None:
    upgrade(empty)
    assert upgrade(empty) == (newest(), newest())


def test_start_upgrades_sqlite_and_refuses_postgresql(empty: Store) -> None:
    if empty.is_sqlite:
        require_current(empty)
        with empty.read() as tx:
            assert schema_version(tx) == newest()
        return
    with pytest.raises(ConfigurationError, match=r"is empty\. Run: kolibri upgrade"):
        require_current(empty)
    assert _tables(empty) == set()
    upgrade(empty)
    require_current(empty)


def test_a_database_from_a_newer_version_is_left_alone(store: Store) -> None:
    with store.write() as tx:
        tx.execute(sa.text("update kolibri_schema_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"schema 9999.*Install the newer kolibri-sdk"):
        require_current(store)
    with store.read() as tx:
        assert schema_version(tx) == "9999"


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_a_kill_leaves_the_old_schema_or_the_new_one(empty: Store, point: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, empty.url, point], check=False)
    assert ended.returncode == -signal.SIGKILL
    with empty.read() as tx:
        reached = schema_version(tx)
    if point == "store.before_commit":
        assert (reached, _tables(empty)) == (None, set())
    else:
        assert reached == newest()
    upgrade(empty)
    assert set(metadata.tables) < _tables(empty)


def test_two_starts_at_once(empty: Store) -> None:
    """Both end well, and one of them has done the work."""
    code = "import sys; from kolibri_sdk.store import *; print(upgrade(Store(sys.argv[1])))"
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, empty.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert sorted(out.strip() for out, _ in told) == sorted(
        [f"(None, '{newest()}')", f"('{newest()}', '{newest()}')"]
    )


def test_a_folder_name_with_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100% sure"
    os.mkdir(folder)
    store = Store(f"sqlite:///{folder / 'a.db'}")
    assert upgrade(store) == (None, newest())
    store.close()
