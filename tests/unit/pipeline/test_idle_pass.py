"""A pass with nothing to do: it goes through no table that grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kolibri_sdk.pipeline import System, open_system, run_pass
from kolibri_sdk.rulebook import find_project
from tests.benchmarks.project import write_project

GROWING = ("message", "attachment", "blob", "ledger", "event", "decision", "outbox", "activity")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "maildir" / name).mkdir(parents=True)
    write_project(tmp_path, {"protocol": "maildir", "path": str(tmp_path / "maildir")})
    opened = open_system(find_project(tmp_path))
    yield opened
    opened.close()


@contextmanager
def plans(engine: sa.Engine) -> Iterator[list[str]]:
    """How SQLite goes about each statement that is executed meanwhile."""
    told: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, given: Any, *rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = cursor.execute(f"explain query plan {statement}", given).fetchall()
            told.extend(f"{row[3]}: {statement}" for row in rows)

    sa.event.listen(engine, "before_cursor_execute", explain)
    yield told
    sa.event.remove(engine, "before_cursor_execute", explain)


def test_no_statement_of_an_idle_pass_goes_through_a_table_that_grows(system: System) -> None:
    run_pass(system)
    with plans(system.store.engine) as told:
        assert run_pass(system).ok
    assert len(told) > 5
    assert not [
        plan for plan in told if plan.startswith(tuple(f"SCAN kolibri_{t}" for t in GROWING))
    ]
    (waiting,) = [plan for plan in told if "kolibri_ledger.retry_at" in plan]
    assert "USING INDEX kolibri_ledger_waiting" in waiting
