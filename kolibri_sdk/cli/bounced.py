"""``kolibri bounced``: the addresses that mails of ours came back from."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_frame_as_json, print_table, rows_of, say

__all__ = ["bounced", "clear_address", "list_addresses"]

bounced = typer.Typer(no_args_is_help=True, help="Addresses that mails came back from.")
app.add_typer(bounced, name="bounced")


@bounced.command(name="list")
def list_addresses(
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List them, the latest at the end, and since when automatic mail to them is held."""
    with open_project(project, database, rules) as k:
        frame = k.bounced.frame()
    if as_json:
        print_frame_as_json(frame)
        return
    columns = ["address", "permanent", "temporary", "since", "last_at", "status", "reason"]
    shown = ("address", "permanent", "temporary", "held since", "last", "status", "reason")
    title = f"Bounced addresses: {len(frame):,} (times in UTC)"
    print_table(title, shown, rows_of(frame, columns))


@bounced.command(name="clear")
def clear_address(
    address: Annotated[str, typer.Argument(help="That works again.")],
    release: Annotated[
        bool, typer.Option("--release", help="Send what was held for it, too.")
    ] = False,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Forget what came back from an address, so that automatic mail goes there again."""
    with open_project(project, database, rules) as k:
        released = k.bounced.clear(address, release=release)
        held = k.outbox.frame(state="held")["recipients"]
    say(f"Automatic mail goes to {address} again.")
    if released:
        mails = "mail goes" if len(released) == 1 else "mails go"
        say(f"{len(released):,} held {mails} out in the next pass.")
    elif waiting := sum([address.lower()] == [r.lower() for r in people] for people in held):
        mails = "mail to it stays" if waiting == 1 else "mails to it stay"
        say(
            f"{waiting:,} {mails} held; kolibri outbox list --state held shows them. "
            "With --release they would have gone out."
        )
