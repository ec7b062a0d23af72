"""The poller notebook, executed by papermill on a project in a temporary folder (C3)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kolibri_sdk.client import connect
from kolibri_sdk.schedule import Outcome, RunResult, run_notebook
from kolibri_sdk.shipped import shipped
from tests.project import letter

pytestmark = pytest.mark.notebook

POLLER = shipped("notebooks") / "poller.ipynb"


def run(project: Path, **parameters: Any) -> RunResult:
    report = project / "report.ipynb"
    return run_notebook(POLLER, parameters, report, folder=project, progress=sys.stderr)


def outputs(report: Path, cell: str) -> str:
    """Everything that a cell of the report shows, in all its forms."""
    notebook = nbformat.read(report, as_version=4)
    (found,) = (each for each in notebook.cells if each.id == cell)
    shown = []
    for output in found.get("outputs", []):
        shown.append(output.get("text", ""))
        shown += output.get("data", {}).values()
        shown += output.get("traceback", [])
    return "\n".join(map(str, shown))


def drop(project: Path, raw: bytes, name: str, mailbox: str = "support") -> None:
    (project / "mail" / mailbox / "new" / name).write_bytes(raw)


def test_a_good_run_leaves_a_complete_report_and_does_nothing_twice(project: Path) -> None:
    drop(project, letter("Where is <b>my</b> <script>alert(1)</script> laptop?"), "1.mail")
    drop(project, letter("Forty licences", to="sales@kolibri.example"), "2.mail", "sales")
    first = run(project, passes=2, every=0.2)
    assert (first.outcome, first.reason) == (Outcome.FINE, "")
    progress = outputs(first.report, "passes").splitlines()
    assert [line.split("  ")[1][:20] for line in progress if line] == [
        "2 fetched · 2 stored",
        "0 fetched · 0 stored",
    ]
    told = outputs(first.report, "results")
    assert "2 passes" in told
    assert "2 fetched, 2 stored, 0 referenced, 2 records, 2 sent; no errors." in told
    for mailbox in ("support", "sales"):
        assert f">{mailbox}</td>" in told
    notebook = nbformat.read(first.report, as_version=4)
    (plot,) = (cell.outputs for cell in notebook.cells if cell.id == "plot")
    assert plot[0].data["image/png"].startswith("iVBOR")
    assert "<script>" not in "".join(outputs(first.report, cell.id) for cell in notebook.cells)

    second = run(project, passes=1)
    assert "0 fetched, 0 stored, 0 referenced, 0 records, 0 sent" in outputs(
        second.report, "results"
    )
    with connect(project=project) as k:
        assert (len(k.messages), len(k.outbox.frame()), len(k.runs.frame())) == (4, 2, 3)


def test_unknown_and_ill_typed_parameters_stop_it_before_anything_is_done(project: Path) -> None:
    drop(project, letter(), "1.mail")
    result = run(project, passess=3, passes="two", every=True, mailboxes=[1])
    assert result.outcome is Outcome.MISCONFIGURED
    assert result.reason.splitlines()[1:] == [
        "  passess: there is no such parameter; did you mean passes?",
        "  mailboxes: expected a list of names such as ['support', 'sales'], or None for all; "
        "given [1] (list)",
        "  every: expected a number of seconds above 0 such as 30, or None; given True (bool)",
        "  passes: expected a whole number above 0 such as 120; given 'two' (str)",
        "Its parameters are: database, rules, mailboxes, every, passes",
    ]
    shown = outputs(result.report, "check")
    assert len(shown.splitlines()) < 12
    assert "parameters.py" not in shown
    assert not (project / "kolibri.db").exists()


def test_an_unknown_mailbox_is_a_mistake_in_the_configuration(project: Path) -> None:
    result = run(project, mailboxes=["suport"], passes=1)
    assert result.outcome is Outcome.MISCONFIGURED
    assert "'support'" in result.reason


def test_a_run_with_errors_fails_and_its_report_is_complete(project: Path) -> None:
    (project / "mail/sales").rename(project / "mail/elsewhere")
    drop(project, letter(), "1.mail")
    result = run(project, passes=2, every=0.2)
    assert result.outcome is Outcome.FAILED
    assert "2 of 2 passes had errors" in result.reason
    assert "2 times  Mailbox sales" in result.reason
    told = outputs(result.report, "results")
    assert "1 fetched, 1 stored" in told
    assert "What went wrong (1)" in told
    assert "image/png" in str(nbformat.read(result.report, as_version=4))


def test_papermill_by_itself_exits_with_1_and_the_reason(project: Path) -> None:
    report = project / "report.ipynb"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "papermill",
            POLLER,
            report,
            "--no-progress-bar",
            "-p",
            "passs",
            "1",
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "passs: there is no such parameter; did you mean passes?" in done.stderr
    assert report.is_file()
