"""C3: papermill runs a headless poller notebook on a schedule."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from tests.acceptance.conftest import Desk
from tests.project import letter
from tests.servers import free_port

pytestmark = pytest.mark.notebook


def reports(desk: Desk) -> list[Path]:
    return sorted((desk.folder.root / "reports").glob("*.ipynb"))


def printed_in(report: Path) -> str:
    """Everything that the executed notebook shows as text."""
    notebook = nbformat.read(report, as_version=4)  # type: ignore[no-untyped-call]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_each_scheduled_run_executes_the_notebook_and_leaves_it_as_its_report(desk: Desk) -> None:
    desk.deliver(letter())

    run = desk.folder.kolibri("schedule", "--runs", "2", "--passes", "1", "--json")

    assert run.returncode == 0, run.stderr
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert [one["outcome"] for one in told] == ["fine", "fine"]
    assert [Path(one["report"]).name for one in told] == [path.name for path in reports(desk)]
    first, second = map(printed_in, reports(desk))
    assert "1 fetched · 1 stored" in first
    assert "0 fetched · 0 stored" in second
    assert len(desk.incidents()) == len(desk.sink.taken) == 1


def test_a_run_that_fails_says_why_and_keeps_its_report(desk: Desk) -> None:
    desk.mailbox(inbound=desk.dovecot.inbound(desk.user, port=free_port()))

    run = desk.folder.kolibri("schedule", "--runs", "1", "--passes", "1")

    assert run.returncode == 1
    assert "Mailbox support" in run.stdout + run.stderr
    (report,) = reports(desk)
    assert "Mailbox support" in report.read_text("utf-8")
