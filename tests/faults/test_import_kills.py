"""An import of historic mail that is killed at any moment, and started again, misses nothing."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk import checkpoint
from kolibri_sdk.errors import DiskFull
from kolibri_sdk.pipeline import imports
from kolibri_sdk.schedule import Stop
from tests.faults.conftest import Run
from tests.project import ProjectFolder, letter

MAILS = 600


def write_archive(path: Path, count: int = MAILS, deadly: str = "") -> Path:
    """An mbox of so many mails; twenty of them are in it twice."""
    mails = [letter(f"old {number}") for number in range(count - 20)]
    if deadly:
        mails[count // 2] = letter("deadly", f"{deadly}\n")
    with path.open("wb") as file:
        for raw in (*mails, *mails[:20]):
            file.write(b"From anna@customer.example Fri May  1 12:00:00 2026\n")
            file.write(raw.replace(b"\r\n", b"\n") + b"\n")
    return path


@pytest.fixture
def new_project(tmp_path: Path) -> Callable[[str], ProjectFolder]:
    def make(name: str) -> ProjectFolder:
        (tmp_path / name).mkdir()
        folder = ProjectFolder(tmp_path / name)
        folder.mailbox("support", inbound={"protocol": "maildir", "path": "mail"})
        return folder

    return make


def outcome(folder: ProjectFolder) -> dict[str, Any]:
    """Everything that an import leaves, but ids and times of storing."""
    with closing(sqlite3.connect(folder.root / "kolibri.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        columns = "state, direction, subject, text, message_id, received_at, size, blob, error"
        messages = db.execute(f"SELECT {columns} FROM kolibri_message").fetchall()
        ledger = db.execute(
            "SELECT l.uid, l.state, l.content, m.subject FROM kolibri_ledger l "
            "LEFT JOIN kolibri_message m ON m.id = l.message"
        ).fetchall()
        tables = ("activity", "attachment", "blob", "decision", "event", "outbox")
        counted = {
            name: db.execute(f"SELECT count(*) FROM kolibri_{name}").fetchone() for name in tables
        }
    return {"messages": sorted(messages, key=str), "ledger": sorted(ledger), **counted}


def test_killed_again_and_again_the_outcome_is_that_of_an_undisturbed_import(
    tmp_path: Path, run_pass: Run, new_project: Callable[[str], ProjectFolder]
) -> None:
    archive = str(write_archive(tmp_path / "old.mbox"))
    calm, troubled = new_project("calm"), new_project("troubled")
    assert run_pass(calm.root, source=archive)["status"] == 0
    whole = outcome(calm)
    assert len(whole["messages"]) == MAILS - 20

    dice = random.Random(11)
    kills = 0
    # After a kill within a batch its mails are taken one by one, so that many steps lie ahead.
    moments = [
        {"at": "import.begun"},
        *({"nth": dice.randint(4, 120)} for _ in range(12)),
        *({"delay": dice.uniform(0.1, 0.5)} for _ in range(6)),
        *({"nth": dice.randint(4, 120)} for _ in range(6)),
    ]
    for moment in moments:
        kills += run_pass(troubled.root, source=archive, **moment)["status"] < 0
    assert kills >= 10
    last = run_pass(troubled.root, source=archive)
    assert last["status"] == 0
    report = json.loads(last["checkpoints"][-1].removeprefix("imported "))
    assert report["complete"]
    assert report["imported"] + report["known"] == report["read"] == MAILS
    assert outcome(troubled) == whole


def test_killed_at_each_step(
    tmp_path: Path, run_pass: Run, new_project: Callable[[str], ProjectFolder]
) -> None:
    archive = str(write_archive(tmp_path / "old.mbox", 60))
    calm = new_project("calm")
    *steps, _ = run_pass(calm.root, source=archive)["checkpoints"]
    assert {"import.begun", "import.batch"} < set(steps)
    for nth in range(1, len(steps) + 1):
        troubled = new_project(f"troubled{nth}")
        assert run_pass(troubled.root, source=archive, nth=nth)["status"] < 0
        assert run_pass(troubled.root, source=archive)["status"] == 0
        assert outcome(troubled) == outcome(calm), steps[nth - 1]


def test_a_mail_that_takes_the_process_down_is_kept_unparsed_and_the_others_come_through(
    tmp_path: Path, run_pass: Run, new_project: Callable[[str], ProjectFolder]
) -> None:
    archive = str(write_archive(tmp_path / "old.mbox", 60, deadly="DEADLY"))
    folder = new_project("desk")
    runs = [run_pass(folder.root, source=archive, deadly="DEADLY")["status"] for _ in range(6)]
    assert [status < 0 for status in runs] == [True] * 5 + [False]
    messages = outcome(folder)["messages"]
    assert len(messages) == 40
    (deadly,) = [row for row in messages if row[-1]]
    assert deadly[0] == "imported"
    assert deadly[-1] == f"parsing ended the process {imports._MOST_TRIES} times"


def test_a_database_that_fails_again_and_again_makes_no_mail_suspect(
    tmp_path: Path, new_project: Callable[[str], ProjectFolder]
) -> None:
    archive = write_archive(tmp_path / "old.mbox", 60)
    folder = new_project("desk")

    def full(name: str) -> None:
        if name == "import.batch":
            raise DiskFull("The database has no room left", "Free space on its device")

    with folder.open() as k:
        for _ in range(imports._MOST_TRIES + 2):
            checkpoint.observe(full)
            report = k.import_mail(archive, mailbox="support")
            checkpoint.observe(None)
            assert not report.complete
            assert "no room left" in report.errors[0]
            assert len(k.messages) == 0
        last = k.import_mail(archive, mailbox="support")
    assert last.ok
    assert last.counts == {"read": 60, "imported": 40, "known": 20}


def test_an_import_that_is_asked_to_stop_ends_after_its_batch_and_goes_on_later(
    tmp_path: Path, new_project: Callable[[str], ProjectFolder]
) -> None:
    archive = write_archive(tmp_path / "old.mbox", 600)
    stop = Stop()
    stop.requested = True
    with new_project("desk").open() as k:
        first = k.import_mail(archive, mailbox="support", stop=stop)
        assert not first.ok
        assert first.counts["imported"] == 250
        assert "NOT COMPLETE: import it again to go on" in first.line()
        last = k.import_mail(archive, mailbox="support")
    assert last.ok
    assert last.counts["imported"] == 330
