"""``kolibri quarantine``: mails that could not be fetched, or were left alone on purpose."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_frame_as_json, print_json, print_table, say
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.store.quarantine import STATES

__all__ = ["list_quarantine", "quarantine", "release_mails", "show_mail"]

quarantine = typer.Typer(
    no_args_is_help=True, help="Mails on a server that are not in the table, and taking them in."
)
app.add_typer(quarantine, name="quarantine")

Box = Annotated[str, typer.Argument(help="The mailbox.")]
State = Annotated[
    str | None,
    typer.Option(help="; ".join(f"{state}: {why}" for state, why in STATES.items()) + "."),
]
Folder = Annotated[str | None, typer.Option(help="Only in this folder.")]


@quarantine.command(name="list")
def list_quarantine(
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Only of this one.")
    ] = None,
    state: State = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List the mails that cannot be fetched; with --state, those that were left alone."""
    with open_project(project, database, rules) as k:
        frame = k.quarantine.frame(mailbox=mailbox, state=state)
    if as_json:
        print_frame_as_json(frame)
        return
    print_table(
        f"Quarantine: {len(frame):,} mails",
        ("mailbox", "folder", "uid", "state", "tries", "seen (UTC)", "why"),
        [
            (
                row["mailbox"],
                row["folder"],
                row["uid"],
                row["state"],
                row["attempts"],
                row["seen_at"],
                row["error"] or STATES[row["state"]],
            )
            for row in frame.to_dict(orient="records")
        ],
    )
    if len(frame):
        say("`kolibri quarantine release MAILBOX UID` has the next pass fetch one.")


@quarantine.command(name="show")
def show_mail(
    mailbox: Box,
    uid: Annotated[str, typer.Argument(help="Its UID, as the list shows it.")],
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of one mail: when it was seen, how often it was tried, and why."""
    with open_project(project, database, rules) as k:
        rows = [
            row
            for state in STATES
            for row in json.loads(
                k.quarantine.frame(mailbox=mailbox, state=state).to_json(
                    orient="records", date_format="iso"
                )
            )
            if row["uid"] == uid
        ]
    if not rows:
        raise NotFound(f"Mailbox {mailbox}: there is no mail {uid} in quarantine")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print_table(f"Mail {uid} of {mailbox}", ("", ""), list(row.items()))
        say(f"It {STATES[row['state']]}.")


@quarantine.command(name="release")
def release_mails(
    mailbox: Box,
    uids: Annotated[
        list[str] | None, typer.Argument(help="Their UIDs; or --all.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are in the state.")] = False,
    state: State = None,
    folder: Folder = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Have the next pass fetch mails after all; the rules run on them as on new ones."""
    if bool(uids) == every:
        raise ConfigurationError("Say which mails", "Name their UIDs, or --all")
    with open_project(project, database, rules) as k:
        number = k.quarantine.release(mailbox, uids=uids or None, folder=folder, state=state)
    say(f"Mailbox {mailbox}: {number} mail{'s' * (number != 1)} released; the next pass fetches.")
