"""``kolibri reference``: the keys that sign message references."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, open_project
from kolibri_sdk.cli.printing import print_frame_as_json, print_table, rows_of, say

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
        print_frame_as_json(frame)
        return
    columns = ["id", "state", "created_at", "retired_at", "revoked_at"]
    head = ("id", "state", "created (UTC)", "retired (UTC)", "revoked (UTC)")
    print_table(f"Reference keys: {len(frame)}", head, rows_of(frame, columns))


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
