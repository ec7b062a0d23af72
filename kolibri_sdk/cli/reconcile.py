"""``kolibri reconcile``: compare mailboxes with the database, and mend what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import complain, print_json, say

__all__ = ["reconcile"]


@app.command()
def reconcile(
    mailbox: Annotated[
        str | None, typer.Argument(help="The mailbox; without it, all that are read.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended safely, and say what.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read all stored bytes to compare their hashes.")
    ] = False,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="The database is a backup of the past: hold what may have been sent since.",
        ),
    ] = False,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Compare mailboxes with the database: every difference with its reason.

    Exits with 1 when there is a fault: a difference that a healthy box does not have.
    """
    with open_project(project, database, rules) as k:
        names = [name for name in k.mailboxes if k.mailboxes[name].description.inbound is not None]
        boxes = [k.mailboxes[name] for name in ([mailbox] if mailbox is not None else names)]
        past = [mailbox] if mailbox is not None else list(k.mailboxes)
        held = {name: k.mailboxes[name].hold_after_restore() for name in past if after_restore}
        reports = [box.reconcile(repair=repair, whole=not quick) for box in boxes]
    for name, number in held.items():
        complain(
            f"{name}: {number} queued mails are held, and so will be those that mail causes which "
            "lies in the mailbox by now. See: kolibri outbox list --state held"
        )
    if as_json:
        print_json([report.as_json() for report in reports])
    for report in reports:
        if not as_json:
            (say if report.ok else complain)(str(report))
    if not all(report.ok for report in reports):
        raise typer.Exit(FAILED)
