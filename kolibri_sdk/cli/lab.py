"""``kolibri lab``: the rule lab's notebook on mail of one's own, to work in or as a report."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Json
from kolibri_sdk.cli.printing import print_json, say
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.schedule import Outcome, run_notebook, with_parameters
from kolibri_sdk.shipped import shipped

__all__ = ["lab"]


@app.command(
    epilog="Exit codes: 0 it was opened or executed; 1 a cell failed; 2 a file or the command "
    "itself is wrong, or JupyterLab is missing."
)
def lab(
    archive: Annotated[
        Path | None,
        typer.Argument(
            help="An mbox, a Maildir, .eml files, a zip or tar; else mail of an invented desk.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV file with the columns message_id and label.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="The label that the rule should match.")
    ] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Whose rules; else support.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Execute it, and write the executed notebook there; nothing is opened."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Open the rule lab on old mail in JupyterLab, or execute it as a report."""
    for path, what in ((archive, "archive"), (labels, "file of labels")):
        if path is not None and not path.exists():
            raise ConfigurationError(f"There is no {what} {path}", "Name one that is there")
    if labels is not None and positive is None:
        raise ConfigurationError(
            f"Which label of {labels} should the rule match?", "Add --positive LABEL"
        )
    given: dict[str, Any] = {
        "archive": str(archive.absolute()) if archive else None,
        "labels": str(labels.absolute()) if labels else None,
        "positive": positive,
        "mailbox": mailbox,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    notebook = shipped("notebooks") / "rule_lab.ipynb"
    if report is None:
        _open(notebook, chosen)
        return
    progress = sys.stderr if as_json else sys.stdout
    result = run_notebook(notebook, chosen, report, folder=Path.cwd(), progress=progress)
    if as_json:
        print_json(result.as_json())
    else:
        say(f"{result.outcome.value}: {report}{f' ({result.reason})' if result.reason else ''}")
    if result.outcome is not Outcome.FINE:
        raise typer.Exit(FAILED)


def _open(notebook: Path, chosen: dict[str, Any]) -> None:
    copy = _free_name(Path.cwd() / notebook.name)
    with_parameters(notebook, chosen, copy)
    say(f"Notebook  {copy}")
    if find_spec("jupyterlab") is None:
        raise ConfigurationError(
            "JupyterLab is not installed here, so the notebook was written but not opened",
            'Run: pip install "kolibri-sdk[lab]", or open it where you have Jupyter',
        )
    command = [sys.executable, "-m", "jupyterlab", str(copy)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 (our own)


def _free_name(path: Path) -> Path:
    """The same, or the next with a number: somebody may have worked in the one that is there."""
    number = 2
    free = path
    while free.exists():
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    return free
