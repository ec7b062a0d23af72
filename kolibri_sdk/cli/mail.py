"""``kolibri outbox``: mail on its way out."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_json, print_table
from kolibri_sdk.model.outbox import OutboxState

__all__ = ["list_outbox", "outbox"]

outbox = typer.Typer(no_args_is_help=True, help="Mail to be sent, being sent, and sent.")
app.add_typer(outbox, name="outbox")


@outbox.command(name="list")
def list_outbox(
    state: Annotated[OutboxState | None, typer.Option(help="Only in this state.")] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Only of this one.")
    ] = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List the mails of the outbox, oldest first; as JSON, an array of objects."""
    with open_project(project, database, rules) as k:
        if mailbox is not None:
            mailbox = k.mailboxes[mailbox].name
        frame = k.outbox.frame(state=state.value if state else None, mailbox=mailbox)
    if as_json:
        print_json(json.loads(frame.to_json(orient="records", date_format="iso")))
        return
    print_table(
        f"Outbox: {len(frame):,} mails",
        ("id", "state", "mailbox", "to", "record", "due (UTC)", "error"),
        [
            (
                row["id"],
                row["state"],
                row["mailbox"],
                ", ".join(row["recipients"]),
                f"{row['entity']} {row['record_key']}" if isinstance(row["entity"], str) else "",
                f"{row['due_at']:%m-%d %H:%M}",
                row["error"],
            )
            for row in frame.to_dict(orient="records")
        ],
    )
