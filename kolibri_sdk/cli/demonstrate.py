"""``kolibri demo``: one round of everything, on mails of our own."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Json
from kolibri_sdk.cli.printing import complain, print_json, print_table, say, this_command
from kolibri_sdk.demo import DemoResult, run_demo

__all__ = ["demo"]

_MEANINGS = {
    "fetched": "mails taken from the two mailboxes",
    "stored": "KolibriMessages with their bytes",
    "referenced": "replies that found their record by its reference",
    "decisions": "rules decided, on mails and on changes of records",
    "matched": "of these, matches",
    "records": "incidents and leads made",
    "sent": "mails sent: answers to customers, notices to the people on duty",
    "unparsed": "mails beyond the parser's limits, kept with their bytes",
}


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Where the project is made; else a temporary folder.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--discard", help="Whether the project is left to look at.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Show one round of everything: a project, twenty mails, the poller notebook, a summary."""
    progress = sys.stderr if as_json else sys.stdout
    result = run_demo(folder, keep=keep, progress=progress)
    if as_json:
        print_json(result.as_json())
    else:
        _tell(result, kept=keep)
    for surprise in result.surprises:
        complain(f"Unexpected: {surprise}")
    if result.surprises:
        raise typer.Exit(FAILED)


def _tell(result: DemoResult, *, kept: bool) -> None:
    say("")
    rows = [(f"{result.counts[name]:,}", name, meaning) for name, meaning in _MEANINGS.items()]
    print_table("What happened", ("", "", ""), rows)
    say("")
    say("Refused, and why:" if result.refused else "Refused: nothing")
    for reason in result.refused:
        say(f"  {reason}")
    say("")
    if not result.surprises:
        say(f"A second look at the mailboxes did nothing twice; all in {result.seconds:.1f} s.")
    if not kept:
        return
    say("")
    say(f"Project            {result.folder}")
    say(f"Executed notebook  {result.notebook}")
    say(f"Answers (Maildir)  {result.answers}")
    say("")
    command, folder = this_command(), shlex.quote(str(result.folder))
    say("Try next:")
    say(f"  {command} status -C {folder}")
    say(f"  {command} outbox list -C {folder}")
    say(f"  drop a mail into {result.folder}/mail/support/new, and")
    say(f"  {command} poll --passes 1 -C {folder}")
