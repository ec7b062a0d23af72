"""``kolibri bounced``: the addresses that mails of ours came back from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_json, print_table, say

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
        print_json(json.loads(frame.to_json(orient="records", date_format="iso")))
        return
    head = ("address", "permanent", "temporary", "since", "last_at", "status", "reason")
    rows = [
        [f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "year") else value for value in row]
        for row in frame[list(head)]
        .astype("object")
        .where(frame.notna(), "")
        .itertuples(index=False)
    ]
    shown = ("address", "permanent", "temporary", "held since", "last", "status", "reason")
    print_table(f"Bounced addresses: {len(frame):,} (times in UTC)", shown, rows)


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
