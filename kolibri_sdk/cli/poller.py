"""``kolibri poll``, ``schedule`` and ``status``: the poller, its runs, and how they fare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kolibri_sdk.cli.application import FAILED, WRONG_USAGE, app
from kolibri_sdk.cli.options import (
    Database,
    Every,
    Json,
    ProjectFolder,
    RulesFolder,
    open_project,
)
from kolibri_sdk.cli.printing import complain, print_json, print_table, say
from kolibri_sdk.cli.status import Status, read_status
from kolibri_sdk.pipeline import PassReport, open_system
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.schedule import (
    Outcome,
    RunResult,
    Stop,
    beat,
    discard_old_reports,
    report_path,
    run_notebook,
    stop_on_signals,
)
from kolibri_sdk.shipped import shipped

__all__ = ["poll", "schedule", "status"]

Chosen = Annotated[
    list[str] | None, typer.Option("--mailbox", "-M", help="Only this mailbox; may be repeated.")
]


@app.command()
def poll(
    passes: Annotated[
        int | None, typer.Option("--passes", min=1, help="How many; without it, for ever.")
    ] = None,
    every: Every = None,
    mailbox: Chosen = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Fetch mail, run the rules and send, again and again; a line per pass.

    SIGTERM and Ctrl-C end it after the pass at hand. Exits with 1 when a pass had errors.
    """
    ill = 0
    with open_project(project, database, rules) as k, stop_on_signals() as stop:
        for report in k.poll(passes=passes, every=every, mailboxes=mailbox, stop=stop):
            _tell_pass(report, as_json)
            ill += not report.ok
    if ill:
        raise typer.Exit(FAILED)


def _tell_pass(report: PassReport, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
    else:
        say(report.line())
        for reason in report.not_done:
            say(f"  not done: {reason}")
        for error in report.errors:
            complain(f"  {error}")
    sys.stdout.flush()


@app.command()
def schedule(
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, help="How many; without it, for ever.")
    ] = None,
    every_run: Annotated[
        float,
        typer.Option(min=0, help="Seconds from the start of a run to the next; 0: at once."),
    ] = 0,
    keep: Annotated[int, typer.Option(min=1, help="How many reports are kept.")] = 48,
    reports: Annotated[
        Path | None, typer.Option(help="Folder of the reports; else reports/ in the project.")
    ] = None,
    passes: Annotated[int, typer.Option(min=1, help="Passes per run.")] = 120,
    every: Every = None,
    mailbox: Chosen = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Run the poller notebook through papermill again and again; each run leaves a report.

    SIGTERM and Ctrl-C end it after the pass at hand. Exits with 1 when a run failed, and at once
    with 2 when a setting or a parameter is wrong.
    """
    found = find_project(project, database=database, rules=rules)
    folder = reports or found.root / "reports"
    parameters: dict[str, Any] = {"passes": passes, "every": every, "mailboxes": mailbox}
    parameters |= {"database": database, "rules": str(rules.absolute()) if rules else None}
    given = {name: value for name, value in parameters.items() if value is not None}
    failed = 0
    with stop_on_signals() as stop:
        for number in beat(runs, every_run, stop):
            result = run_notebook(
                shipped("notebooks") / "poller.ipynb",
                given,
                report_path(folder, "poller"),
                folder=found.root,
                stop=stop,
                progress=sys.stderr if as_json else sys.stdout,
            )
            discard_old_reports(folder, "poller", keep)
            _tell_run(number, result, as_json)
            if result.outcome is Outcome.MISCONFIGURED:
                raise typer.Exit(WRONG_USAGE)
            failed += result.outcome is Outcome.FAILED
            _breathe(result, every or found.every, stop, last=number == runs)
    if failed:
        raise typer.Exit(FAILED)


def _tell_run(number: int, result: RunResult, as_json: bool) -> None:
    if as_json:
        print_json({"run": number, **result.as_json()})
    elif result.outcome is Outcome.FINE:
        say(f"run {number}: fine, {result.seconds:.0f} s, report {result.report}")
    else:
        complain(f"run {number}: {result.outcome}, report {result.report}\n{result.reason}")
    sys.stdout.flush()


def _breathe(result: RunResult, seconds: float, stop: Stop, *, last: bool) -> None:
    """After a run that failed at once the next one waits, so that the machine is not kept busy."""
    if result.outcome is Outcome.FAILED and not last:
        stop.wait(seconds - result.seconds)


@app.command()
def status(
    max_age: Annotated[
        float, typer.Option(min=1, help="Seconds without a pass until the poller counts as down.")
    ] = 900,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show how the mailboxes, the messages and the outbox fare.

    Exits with 1 when something needs a person, and says what.
    """
    system = open_system(find_project(project, database=database, rules=rules))
    try:
        found = read_status(system, max_age)
    finally:
        system.close()
    if as_json:
        print_json(found.as_json())
    else:
        _show(found)
    if found.needs:
        raise typer.Exit(FAILED)


def _show(found: Status) -> None:
    print_table(
        "Mailboxes",
        ("mailbox", "last success (UTC)", "last error"),
        [(box.name, _moment(box.last_success), box.last_error) for box in found.mailboxes],
    )
    print_table(
        "Messages", ("mailbox", "state", "number"), [(*k, n) for k, n in found.messages.items()]
    )
    print_table(
        "Outbox", ("mailbox", "state", "number"), [(*k, n) for k, n in found.outbox.items()]
    )
    last = found.last_pass
    say(f"Last pass: {_moment(last)} UTC" if last else "Last pass: none yet")
    if found.bounced:
        many = "addresses" if found.bounced > 1 else "address"
        say(f"Mails came back from {found.bounced} {many}; see `kolibri bounced list`")
    if found.suggestions:
        many = "suggestions are" if found.suggestions > 1 else "suggestion is"
        say(f"{found.suggestions} {many} open; see `kolibri suggestions list`")
    for warning in found.unproven:
        say(warning, style="yellow")
    if not found.needs:
        say("All is well.", style="green")
    for need in found.needs:
        complain(f"Needs a person: {need}")


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "never"
