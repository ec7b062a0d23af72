"""``kolibri schedule`` and ``kolibri demo``: papermill's runs, seen from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kolibri_sdk.client import connect
from tests.project import letter

pytestmark = pytest.mark.notebook

PROGRAM = [sys.executable, "-c", "from kolibri_sdk.cli import app; app()"]


def kolibri(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [str(argument) for argument in arguments]
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)


def test_runs_leave_reports_and_the_last_ones_are_kept(project: Path) -> None:
    done = kolibri("schedule", "--runs", 2, "--keep", 1, "--passes", 1, "--json", "-C", project)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["outcome"], second["outcome"]) == ("fine", "fine")
    assert [str(path) for path in (project / "reports").iterdir()] == [second["report"]]
    assert "0 fetched" in done.stderr


def test_a_run_that_failed_is_remembered_and_the_next_one_is_made(project: Path) -> None:
    (project / "mail/sales").rename(project / "mail/elsewhere")
    done = kolibri("schedule", "--runs", 2, "--passes", 1, "--every", 0.1, "-C", project)
    assert done.returncode == 1
    assert "run 2: failed" in done.stderr
    assert "Mailbox sales" in done.stderr


def test_a_wrong_parameter_ends_it_at_once(project: Path) -> None:
    done = kolibri("schedule", "--passes", 1, "--mailbox", "suport", "-C", project)
    assert done.returncode == 2
    assert "run 1: misconfigured" in done.stderr
    assert "'support'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_pass_at_hand_with_a_complete_report(
    project: Path, number: int
) -> None:
    (project / "mail/support/new/1.mail").write_bytes(letter())
    schedule = subprocess.Popen(
        [*PROGRAM, "schedule", "--every", "300", "-C", str(project)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert schedule.stdout is not None
    try:
        assert "1 records · 1 sent" in schedule.stdout.readline()
        started = psutil.Process(schedule.pid).children(recursive=True)
        os.kill(schedule.pid, number)
        rest, _ = schedule.communicate(timeout=30)
    finally:
        schedule.kill()
    assert (schedule.returncode, rest[:11]) == (0, "run 1: fine")
    assert psutil.wait_procs(started, timeout=10)[1] == []
    (report,) = (project / "reports").iterdir()
    assert "1 pass, " in report.read_text()


def test_the_demonstration_prints_one_object_whose_numbers_are_the_databases(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"
    done = kolibri("demo", "--json", "--folder", folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert list(told) == [
        *("fetched", "stored", "referenced", "decisions", "records", "sent"),
        *("refused", "unparsed", "notebook", "seconds"),
    ]
    assert Path(told["notebook"]).is_file()
    with connect(project=folder) as k:
        messages = k.messages.frame(direction="in")
        assert len(messages) == told["stored"] == told["fetched"]
        assert messages["grade"].isin(["signed", "stranger", "header"]).sum() == told["referenced"]
        assert (messages["state"] == "unparsed").sum() == told["unparsed"] == 1
        assert len(k.outbox.frame(state="sent")) == told["sent"]
        assert len(k.records["incident"]) + len(k.records["lead"]) == told["records"]
    assert len(list((folder / "mail/sent/new").iterdir())) == told["sent"]
    assert len(told["refused"]) == 4
    again = kolibri("demo", "--json", "--folder", folder)
    assert (again.returncode, again.stdout) == (2, "")
    assert str(folder) in again.stderr


def test_the_demonstration_can_leave_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = kolibri("demo", "--discard", "--folder", folder)
    assert done.returncode == 0, done.stderr
    assert "22   stored" in done.stdout
    assert not folder.exists()
