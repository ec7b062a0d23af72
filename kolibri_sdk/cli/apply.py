"""``kolibri rules apply``: a rule on mail already there, with its plan before and a yes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, Who, open_project
from kolibri_sdk.cli.printing import complain, frame_as_json, print_json, print_table, rows_of, say
from kolibri_sdk.cli.rules import Rule, incoming, rules
from kolibri_sdk.client import Application
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.schedule import stop_on_signals

__all__ = ["apply_rule"]


@rules.command(name="apply")
def apply_rule(
    name: Rule,
    since: Annotated[str | None, typer.Option(help="Only mail since, such as 2026-01-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Only mail before.")] = None,
    message: Annotated[
        list[int] | None, typer.Option("--message", help="Only this mail; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    mails: Annotated[
        bool, typer.Option("--mails/--no-mails", help="Whether anybody is written to.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Also to mails on which the rule has acted before.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept.")] = "",
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Apply a rule to mail that is there already: shows the plan, and asks.

    A mail on which the rule has acted is left out. What was broken off goes on by the same command.
    Exits with 1 when the actions of some mails failed, with 2 when nobody said yes.
    """
    with open_project(project, database, rules, by) as k, stop_on_signals() as stop:
        rule = incoming(k, name)
        chosen = message or k.messages.frame(mailbox=rule.mailbox, since=since, until=until)
        planned = rule.apply(chosen, mails=mails, again=again, reason=reason)
        if not as_json:
            _show(planned)
        if dry_run or not len(planned.trial.matches()):
            if as_json:
                print_json(_as_json(planned))
            return
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigurationError("Nobody said yes; nothing was done", "Say --yes")
            typer.confirm("Do it?", abort=True)
        report = planned.confirm(stop=stop)
    if as_json:
        print_json(_as_json(planned))
    else:
        say(str(report), style="green" if report.ok else None)
        for error in report.errors:
            complain(f"  {error}")
    if not report.ok:
        raise typer.Exit(FAILED)


def _show(planned: Application) -> None:
    say(planned.headline)
    summary = planned.plan.summary
    if len(summary):
        print_table("What would be done", [*summary], rows_of(summary, [*summary]))
    mails = planned.plan.mails
    if len(mails):
        shown = mails.assign(to=mails["to"].map(", ".join))
        columns = ["message", "template", "to"]
        print_table("Mails, the first 20", columns, rows_of(shown.head(20), columns))
    if len(planned.left_out):
        reasons = planned.left_out["reason"].str.replace(r" \(.*\)", "", regex=True)
        print_table("Left out", ("why", "mails"), reasons.value_counts().items())
    failures = planned.plan.failures
    if len(failures):
        print_table("Would fail", ["message", "error"], rows_of(failures, ["message", "error"]))
    for warning in planned.warnings:
        say(warning, style="yellow")


def _as_json(planned: Application) -> dict[str, object]:
    report = planned.report
    return {
        "matches": len(planned.trial.matches()),
        "plan": frame_as_json(planned.plan.summary),
        "left_out": frame_as_json(planned.left_out),
        "warnings": planned.warnings,
        "done": dict(report.counts) if report is not None else None,
        "errors": report.errors if report is not None else [],
    }
