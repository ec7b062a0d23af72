"""``kolibri suggestions`` and ``kolibri messages``: which record a mail belongs to, by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from kolibri_sdk.cli.application import app
from kolibri_sdk.cli.options import (
    Database,
    Json,
    ProjectFolder,
    RulesFolder,
    Who,
    open_project,
)
from kolibri_sdk.cli.printing import print_frame_as_json, print_table, say
from kolibri_sdk.errors import ConfigurationError

__all__ = [
    "accept_suggestion",
    "attach_message",
    "detach_message",
    "dismiss_suggestion",
    "list_suggestions",
    "messages",
    "suggestions",
]

suggestions = typer.Typer(no_args_is_help=True, help="Records that mails may belong to.")
messages = typer.Typer(no_args_is_help=True, help="Tie mails to records, or take them away.")
app.add_typer(suggestions, name="suggestions")
app.add_typer(messages, name="messages")

_STATES = ("open", "accepted", "dismissed", "all")
Message = Annotated[int, typer.Argument(help="Number of the message.")]
Record = Annotated[
    str | None, typer.Option("--record", "-r", help="Only this one, such as incident/7.")
]


@suggestions.command(name="list")
def list_suggestions(
    state: Annotated[str, typer.Option(help="open, accepted, dismissed or all.")] = "open",
    mailbox: Annotated[
        str | None, typer.Option("--mailbox", "-M", help="Only of this one.")
    ] = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
    as_json: Json = False,
) -> None:
    """List the records that mails may belong to, oldest first; as JSON, an array of objects."""
    if state not in _STATES:
        raise ConfigurationError(f"There is no state {state!r}", f"Say {', '.join(_STATES)}")
    with open_project(project, database, rules) as k:
        name = k.mailboxes[mailbox].name if mailbox is not None else None
        frame = k.messages.suggestions(state=None if state == "all" else state, mailbox=name)
    if as_json:
        print_frame_as_json(frame)
        return
    print_table(
        f"Suggestions: {len(frame):,}",
        ("message", "from", "subject", "may belong to", "because of", "state", "by", "is in"),
        [
            (
                row["message"],
                row["from_address"],
                row["subject"],
                f"{row['entity']} {row['record_key']}",
                row["carrier"],
                row["state"],
                row["decided_by"],
                f"{row['tied_entity']} {row['tied_key']}"
                if isinstance(row["tied_entity"], str)
                else "",
            )
            for row in frame.to_dict(orient="records")
        ],
    )


@suggestions.command(name="accept")
def accept_suggestion(
    message: Message,
    record: Record = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Tie a mail to the record that is suggested; no rule is triggered."""
    with open_project(project, database, rules, by) as k:
        tied = k.messages[message].accept(_key(record) if record else None).record
    say(f"Message {message} belongs to {tied}.")


@suggestions.command(name="dismiss")
def dismiss_suggestion(
    message: Message,
    record: Record = None,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Take the suggestions for a mail off the list, or one of them; it is kept who did."""
    with open_project(project, database, rules, by) as k:
        k.messages[message].dismiss(_key(record) if record else None)
    say(f"Message {message}: dismissed.")


@messages.command(name="attach")
def attach_message(
    message: Message,
    record: Annotated[str, typer.Argument(help="Entity and key, such as incident/7.")],
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Tie a mail to a record by hand; no rule is triggered."""
    with open_project(project, database, rules, by) as k:
        tied = k.messages[message].attach(_key(record)).record
    say(f"Message {message} belongs to {tied}.")


@messages.command(name="detach")
def detach_message(
    message: Message,
    by: Who = None,
    project: ProjectFolder = None,
    database: Database = None,
    rules: RulesFolder = None,
) -> None:
    """Mark a mail as no reply: it belongs to no record any more."""
    with open_project(project, database, rules, by) as k:
        record = k.messages[message].record
        k.messages[message].detach()
    say(f"Message {message} belongs to {record} no more.")


def _key(text: str) -> tuple[str, str]:
    entity, slash, key = text.partition("/")
    if not slash or not entity or not key:
        raise ConfigurationError(f"{text!r} is no record", "Write entity/key, such as incident/7")
    return entity, key
