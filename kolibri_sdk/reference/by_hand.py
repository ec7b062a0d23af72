"""A person ties a mail to a record, accepts or dismisses a suggestion, or takes a mail away."""

from __future__ import annotations

import sqlalchemy as sa

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.message import Direction, MessageState
from kolibri_sdk.model.stored import ActivityEntry, StoredMessage
from kolibri_sdk.store import Tables, activity, messages, suggestions

__all__ = ["accept", "attach", "detach", "dismiss"]

_TOO_EARLY = (MessageState.FETCHED, MessageState.PARSED)


def attach(
    tx: sa.Connection, tables: Tables, number: int, record: RecordKey, by: str, why: str = ""
) -> None:
    """Tie a mail that came in to a record, and show it in the record's activity stream.

    No rule is triggered. The sender is known to the record from here on: a person vouches for it.
    A mail that belonged to another record is taken from there, which that stream tells.

    Parameters
    ----------
    by : str
        Who does it, as both streams will say.
    why : str
        What made them do it, such as ``suggestion``.

    Raises
    ------
    NotFound
        When there is no such message or record.
    ConfigurationError
        When the mail went out, or its rules have not run yet.
    """
    mail = _incoming(tx, number)
    tables.get(tx, record)
    if mail.record == record and mail.grade != "stranger":
        return
    if mail.record is not None and mail.record != record:
        _note(tx, tables, mail.record, mail, "detached", f"Moved to {record} by {by}.", by)
    messages.tie(tx, number, record, "person")
    if mail.state is MessageState.FAILED:  # the person has dealt with it: no more tries
        messages.set_aside(tx, number)
    suggestions.decide(tx, number, [record], "accepted", by)
    rest = [one for one in suggestions.of_message(tx, number, "open") if one != record]
    suggestions.decide(tx, number, rest, "dismissed", by)
    if mail.record == record:  # a stranger's mail that stood there unverified
        _note(tx, tables, record, mail, "verified", f"Message {number} is vouched for by {by}.", by)
        return
    text = f"Attached by {by}. " + (mail.reply_text or mail.text or mail.subject)
    author = mail.sender.address if mail.sender else ""
    cause = f"person:{by}" + (f" {why}" if why else "")
    _note(tx, tables, record, mail, "mail_in", text, author, cause)


def accept(
    tx: sa.Connection, tables: Tables, number: int, record: RecordKey | None, by: str
) -> RecordKey:
    """Accept a suggestion for a message; the record that it is tied to by now.

    Parameters
    ----------
    record : RecordKey or None
        None takes the one that is suggested.

    Raises
    ------
    NotFound
        When nothing, or not this record, is suggested; when several are and none is named.
    """
    chosen = _suggested(tx, number, record)
    attach(tx, tables, number, chosen, by, "suggestion")
    return chosen


def dismiss(tx: sa.Connection, number: int, record: RecordKey | None, by: str) -> list[RecordKey]:
    """Dismiss the suggestions for a message, or this one; those dismissed. They are kept.

    Raises
    ------
    NotFound
        When nothing, or not this record, is suggested.
    """
    found = [_suggested(tx, number, record)] if record else _open(tx, number)
    suggestions.decide(tx, number, found, "dismissed", by)
    return found


def detach(tx: sa.Connection, tables: Tables, number: int, by: str) -> RecordKey:
    """Mark a mail as no reply: it belongs to no record any more, and its stream says so.

    Returns
    -------
    RecordKey
        The record that it was taken from. It is no longer suggested for the mail either.

    Raises
    ------
    NotFound
        When there is no such message, or it belongs to no record.
    ConfigurationError
        When the mail went out, or its rules have not run yet.
    """
    mail = _incoming(tx, number)
    if mail.record is None:
        raise NotFound(
            f"Message {number} belongs to no record", "k.messages.frame() shows which ones do"
        )
    messages.tie(tx, number, None, None)
    suggestions.decide(tx, number, [mail.record], "dismissed", by)
    text = f"Message {number} was marked as no reply by {by}: {mail.subject}"
    _note(tx, tables, mail.record, mail, "detached", text, by)
    return mail.record


def _incoming(tx: sa.Connection, number: int) -> StoredMessage:
    mail = messages.get(tx, number)
    if mail.direction is Direction.OUT:
        raise ConfigurationError(
            f"Message {number} went out from here; it belongs to the record it was written for",
            "Name a mail that came in",
        )
    if mail.state in _TOO_EARLY:
        raise ConfigurationError(
            f"Message {number} is {mail.state.value}: its rules have not run yet",
            "Run: kolibri poll --passes 1",
        )
    return mail


def _open(tx: sa.Connection, number: int) -> list[RecordKey]:
    messages.get(tx, number)
    found = suggestions.of_message(tx, number, "open")
    if not found:
        raise NotFound(
            f"Nothing is suggested for message {number}", "Run: kolibri suggestions list"
        )
    return found


def _suggested(tx: sa.Connection, number: int, record: RecordKey | None) -> RecordKey:
    found = _open(tx, number)
    named = ", ".join(map(str, found))
    if record is None and len(found) > 1:
        raise NotFound(f"Several records are suggested for message {number}", f"Name one: {named}")
    if record is not None and record not in found:
        raise NotFound(f"{record} is not suggested for message {number}", f"There are: {named}")
    return record or found[0]


def _note(
    tx: sa.Connection,
    tables: Tables,
    record: RecordKey,
    mail: StoredMessage,
    kind: str,
    text: str,
    author: str,
    cause: str = "",
) -> None:
    if record.entity in tables.entities and not tables.entity(record.entity).activity_stream:
        return
    entry = ActivityEntry(
        record=record,
        kind=kind,
        at=clock.now(),
        text=text,
        author=author,
        message=mail.id,
        cause=cause or f"person:{author}",
    )
    activity.add(tx, [entry])
