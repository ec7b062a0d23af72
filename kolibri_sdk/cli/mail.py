"""``kolibri outbox``: mail on its way out."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, Who, open_project
from kolibri_sdk.cli.printing import print_frame_as_json, print_table, say
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.outbox import OutboxState

__all__ = ["cancel_mails", "list_outbox", "outbox", "release_mails"]

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
        print_frame_as_json(frame)
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


Mails = Annotated[list[int] | None, typer.Argument(help="Numbers, as `kolibri outbox list` says.")]
Every = Annotated[bool, typer.Option("--all", help="All that are held.")]
Of = Annotated[str | None, typer.Option("--mailbox", "-M", help="With --all: only of this one.")]


@outbox.command(name="release")
def release_mails(
    mails: Mails = None,
    every: Every = False,
    mailbox: Of = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Let held mails go out in the next pass."""
    with open_project(project, database, rules) as k:
        number = k.outbox.release(_chosen(mails, every), mailbox=mailbox)
    say(f"{number:,} released; they go out in the next pass.")


@outbox.command(name="cancel")
def cancel_mails(
    mails: Mails = None,
    every: Every = False,
    mailbox: Of = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """See that mails which are held or queued never go out."""
    with open_project(project, database, rules, by) as k:
        number = k.outbox.cancel(_chosen(mails, every), mailbox=mailbox)
    say(f"{number:,} cancelled.")


def _chosen(mails: list[int] | None, every: bool) -> list[int] | Literal["held"]:
    if bool(mails) == every:
        raise ConfigurationError("It is not said which mails", "Give numbers, or --all, not both")
    return mails or "held"
