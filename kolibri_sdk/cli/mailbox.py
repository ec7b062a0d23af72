"""``kolibri mailbox``: log in by OAuth2, and see whether the servers let us in."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import complain, print_json, say

__all__ = ["check_mailbox", "log_in", "mailbox"]

mailbox = typer.Typer(no_args_is_help=True, help="A mailbox on its servers: log in, check.")
app.add_typer(mailbox, name="mailbox")

Name = Annotated[str, typer.Argument(help="The mailbox: its file's name in rules/mailboxes.")]


@mailbox.command(name="login")
def log_in(
    name: Name,
    port: Annotated[
        int, typer.Option(help="For a login with the browser: the port it answers to; 0: any.")
    ] = 0,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Log in as a mailbox by OAuth2; prints the address to open, and waits until it is done.

    The grant is kept in the system's keyring, so run this as the user who runs the poller.
    """
    with open_project(project, database, rules) as k:
        state = k.mailboxes[name].log_in(say, port=port)
    say(f"Mailbox {name}: OAuth2: {state}", style="green")


@mailbox.command(name="check")
def check_mailbox(
    name: Name,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Log in to both sides of a mailbox, read no mail, and say what was found.

    Exits with 1 when a side does not work, or an OAuth2 grant needs somebody.
    """
    with open_project(project, database, rules) as k:
        found = k.mailboxes[name].check()
    if as_json:
        print_json(found.as_json())
    elif found.ok:
        say(str(found))
    else:
        complain(str(found))
    if not found.ok:
        raise typer.Exit(FAILED)
