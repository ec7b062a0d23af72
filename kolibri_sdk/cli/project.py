"""``kolibri init``, ``check``, ``upgrade`` and ``version``: what concerns the project itself."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from kolibri_sdk.cli.application import WRONG_USAGE, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import complain, print_json, say, this_command
from kolibri_sdk.errors import Problem
from kolibri_sdk.rulebook import find_project
from kolibri_sdk.shipped import start_project
from kolibri_sdk.store import Store, upgrade

__all__ = ["check", "init", "upgrade_database", "version"]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made when it is missing.")] = Path(),
) -> None:
    """Make a project: kolibri.toml, and rules/ with two mailboxes to try and to change."""
    for path in start_project(folder):
        say(f"made  {path}")
    command, go = this_command(), "" if folder == Path() else f" -C {shlex.quote(str(folder))}"
    say("")
    say("Describe your mailboxes in rules/mailboxes/, then:")
    say(f"  {command} check{go}")
    say(f"  {command} poll --passes 1{go}")


@app.command()
def check(
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Find every mistake in rules/, by file and line, and run the rules' examples.

    Exits with 2 when there are errors, with 0 when there are warnings only.
    """
    with open_project(project, database, rules) as k:
        problems = k.check()
        told = f"{len(k.mailboxes)} mailboxes, {len(k.rules)} rules, {len(k.templates)} templates"
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        print_json({"errors": len(errors), "problems": [asdict(problem) for problem in problems]})
    else:
        _tell(problems, len(errors), told)
    if errors:
        raise typer.Exit(WRONG_USAGE)


def _tell(problems: tuple[Problem, ...], errors: int, told: str) -> None:
    for problem in problems:
        complain(str(problem))
    warned = len(problems) - errors
    if not problems:
        say(f"No mistakes: {told}, and their examples hold.", style="green")
    else:
        say(f"{errors} errors, {warned} warnings in {told}.")


@app.command(name="upgrade")
def upgrade_database(
    project: ProjectFolder = None, database: Database = None, rules: RulesFolder = None
) -> None:
    """Bring the database's tables to the newest form; SQLite does so by itself."""
    store = Store(find_project(project, database=database, rules=rules).database)
    try:
        before, after = upgrade(store)
    finally:
        store.close()
    if before == after:
        say(f"The database is at schema {after} already.")
    else:
        say(f"The database was {f'at schema {before}' if before else 'empty'}; now at {after}.")


@app.command()
def version() -> None:
    """Say which version this is."""
    say(f"kolibri {metadata.version('kolibri-sdk')}")
