"""``kolibri outbox``: mail on its way out."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from kolibri_sdk.cli.application import FAILED, app
from kolibri_sdk.cli.options import Database, Json, ProjectFolder, RulesFolder, Who, open_project
from kolibri_sdk.cli.printing import print_frame_as_json, print_json, print_table, say
from kolibri_sdk.client.outbox import recipient_told
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.model.outbox import OutboxState

__all__ = [
    "cancel_mails",
    "confirm_mails",
    "list_outbox",
    "outbox",
    "release_mails",
    "retry_mails",
    "show_mail",
]

outbox = typer.Typer(no_args_is_help=True, help="Mail to be sent, being sent, and sent.")
app.add_typer(outbox, name="outbox")


@outbox.command(name="list")
def list_outbox(
    state: Annotated[OutboxState | None, typer.Option(help="Only in this state.")] = None,
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Only of this one.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Only to this address.")] = None,
    record: Annotated[
        str | None, typer.Option(help="Only of this record, such as incident/7.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Queued since then (ISO 8601, UTC).")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest.")] = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List the mails of the outbox, oldest first; as JSON, an array of objects."""
    with open_project(project, database, rules) as k:
        if mailbox is not None:
            mailbox = k.mailboxes[mailbox].name
        frame = k.outbox.frame(
            state=state.value if state else None,
            mailbox=mailbox,
            to=to,
            record=_record(record),
            since=since,
        )
    frame = frame.tail(last) if last is not None else frame
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


@outbox.command(name="show")
def show_mail(
    number: Annotated[int, typer.Argument(help="As `kolibri outbox list` says.")],
    raw: Annotated[bool, typer.Option("--raw", help="The mail itself, byte for byte.")] = False,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """Show one mail, and what became of each recipient; exit code 1 where not all got it."""
    with open_project(project, database, rules) as k:
        told = k.outbox[number].as_json()
        content = k.messages[told["message"]].raw if raw else b""
    if raw:
        sys.stdout.buffer.write(content)
        return
    bad = told["state"] in {"failed", "uncertain"} or any(
        one["status"] in {"permanent", "uncertain", "bounced"} for one in told["results"].values()
    )
    if as_json:
        print_json(told)
    else:
        _print_mail(told)
    if bad:
        raise typer.Exit(FAILED)


def _print_mail(told: dict[str, Any]) -> None:
    rows = [(name.replace("_", " "), value) for name, value in told.items() if name != "results"]
    print_table(
        f"Outbox mail {told['id']}",
        ("", ""),
        [(name, value) for name, value in rows if value not in (None, "")],
    )
    print_table(
        "Recipients",
        ("address", "what became of it"),
        [(who, recipient_told(result)) for who, result in told["results"].items()],
    )


Mails = Annotated[list[int] | None, typer.Argument(help="Numbers, as `kolibri outbox list` says.")]
Every = Annotated[bool, typer.Option("--all", help="All that are held.")]
Of = Annotated[str | None, typer.Option("--mailbox", "-M", help="With --all: only of this one.")]


@outbox.command(name="retry")
def retry_mails(
    mails: Mails = None,
    every: Annotated[
        Literal["failed", "uncertain"] | None,
        typer.Option("--all", help="All that are failed, or uncertain."),
    ] = None,
    mailbox: Of = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Have mails sent in the next pass, to those who did not get them.

    What is uncertain may then arrive twice; it has the same Message-ID.
    """
    if bool(mails) == bool(every):
        raise ConfigurationError(
            "It is not said which mails", "Give numbers, or --all failed, or --all uncertain"
        )
    with open_project(project, database, rules, by) as k:
        number = k.outbox.retry(mails or every or (), mailbox=mailbox)
    say(f"{number:,} queued; they go out in the next pass.")


@outbox.command(name="confirm")
def confirm_mails(
    mails: Annotated[list[int], typer.Argument(help="Numbers of mails that are uncertain.")],
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Say that mails which are uncertain have arrived."""
    with open_project(project, database, rules, by) as k:
        number = k.outbox.confirm(mails)
    say(f"{number:,} confirmed as sent.")


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


def _record(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    entity, slash, key = text.partition("/")
    if not (entity and slash and key):
        raise ConfigurationError(f"{text!r} names no record", "Write ENTITY/KEY, as incident/7")
    return entity, key
