"""``kolibri import``: historic mail into the central table."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import complain, print_json, print_table, say
from kolibri_sdk.model.message import Direction
from kolibri_sdk.schedule import stop_on_signals

__all__ = ["import_history"]


@app.command(name="import")
def import_history(
    source: Annotated[
        str,
        typer.Argument(
            help="An mbox, a Maildir, a folder of .eml files, one .eml, a zip or tar of these; "
            "or imap:MAILBOX/FOLDER for a folder of the mailbox's own server."
        ),
    ],
    mailbox: Annotated[str, typer.Option("--mailbox", "-M", help="Which mailbox it is mail of.")],
    folder: Annotated[
        list[str] | None,
        typer.Option("--folder", "-f", help="Only this folder of it; may be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Leave out what arrived before, such as 2024-01-01.")
    ] = None,
    direction: Annotated[
        Direction | None,
        typer.Option(help="Of all the mails; else by whether the mailbox itself sent them."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Import historic mail; it triggers no rule, no answer, nothing.

    What the mailbox has already is left as it is, so an import that was broken off goes on when it
    is started again. Exits with 1 when some of the mail could not be read.
    """
    with open_project(project, database, rules) as k, stop_on_signals() as stop:
        report = k.import_mail(
            source,
            mailbox=mailbox,
            folders=folder,
            since=since,
            direction=direction.value if direction else None,
            progress=False if quiet else None,
            stop=stop,
        )
    if as_json:
        print_json(report.as_json())
    else:
        print_table(f"{report.source} → {report.mailbox}", report.head(), report.rows())
        say(report.line())
        for error in report.errors:
            complain(f"  {error}")
    sys.stdout.flush()
    if not report.ok:
        raise typer.Exit(FAILED)
