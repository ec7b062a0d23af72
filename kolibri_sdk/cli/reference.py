"""``kolibri reference``: the keys that sign message references."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_json, print_table, say

__all__ = ["list_keys", "reference", "revoke_key", "rotate_keys"]

reference = typer.Typer(no_args_is_help=True, help="The keys that sign message references.")
app.add_typer(reference, name="reference")


@reference.command(name="keys")
def list_keys(
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show the keys, never their secrets; as JSON, an array of objects."""
    with open_project(project, database, rules) as k:
        frame = k.reference_keys.frame()
    if as_json:
        print_json(json.loads(frame.to_json(orient="records", date_format="iso")))
        return
    head = ("id", "state", "created_at", "retired_at", "revoked_at")
    rows = [
        ["" if value != value else value for value in row]  # noqa: PLR0124 - a missing time is NaT
        for row in frame[list(head)].itertuples(index=False)
    ]
    print_table(f"Reference keys: {len(frame)}", head, rows)


@reference.command(name="rotate")
def rotate_keys(
    project: ProjectFolder = None, database: Database = None, rules: RulesFolder = None
) -> None:
    """Let a new key sign from now on; what older ones have signed stays valid."""
    with open_project(project, database, rules) as k:
        number = k.reference_keys.rotate()
    say(f"Key {number} signs from now on; older ones still verify.")


@reference.command(name="revoke")
def revoke_key(
    key: Annotated[int, typer.Argument(help="Number of the key that has leaked.")],
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Let what a leaked key has signed prove nothing any more; this cannot be taken back."""
    with open_project(project, database, rules) as k:
        number = k.reference_keys.revoke(key)
    say(f"Key {key} verifies nothing any more; key {number} signs.")
