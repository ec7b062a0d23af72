"""``k.messages``: KolibriMessage as objects and as a frame (S19, S20, S22)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import pandas as pd

from kolibri_sdk import clock
from kolibri_sdk.client.display import definition_table
from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import (
    DECISIONS,
    SUGGESTIONS,
    chosen_columns,
    frame_of,
    mail_frame,
    stored_columns,
)
from kolibri_sdk.mail import preview_frame
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage
from kolibri_sdk.pipeline import System
from kolibri_sdk.reference import accept, attach, detach, dismiss
from kolibri_sdk.store import blobs, decisions, messages, past, suggestions
from kolibri_sdk.store.schema import message as table

__all__ = ["AttachmentView", "MessageView", "Messages", "moment", "record_key"]


class Messages:
    """The central table of all mail, in and out.

    Examples
    --------
    >>> k.messages.frame(mailbox="support", since="2026-05-01")     # doctest: +SKIP
    >>> k.messages[4711].subject                                    # doctest: +SKIP
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def __getitem__(self, number: int) -> MessageView:
        """The message with this id; NotFound where there is none."""
        with self._system.store.read() as tx:
            return MessageView(self._system, messages.get(tx, int(number)))

    def __len__(self) -> int:
        with self._system.store.read() as tx:
            return len(messages.select(tx, columns=["id"]))

    def __repr__(self) -> str:
        return f"<{len(self)} messages; .frame() shows them, [id] opens one>"

    def frame(
        self,
        *,
        mailbox: str | None = None,
        direction: str | None = None,
        state: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
        record: tuple[str, Any] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The messages that meet the conditions, oldest first.

        Parameters
        ----------
        mailbox, direction, state : str, optional
            As in the columns of these names.
        since, until : str, date or datetime, optional
            By the time the server got it, or it was sent: ISO 8601, taken as UTC where it names
            no zone; ``until`` is left out itself.
        record : tuple of (str, object), optional
            Entity and key, such as ``("incident", 7)``.
        columns : sequence of str, optional
            Only these, which saves time and memory; a trial of a rule needs them all.

        Returns
        -------
        DataFrame
            One row per message, in the order in which they were stored; columns and dtypes as in
            ``kolibri_sdk.frames.MESSAGES``.

        Raises
        ------
        NotFound
            When there is no column of such a name.
        """
        chosen = chosen_columns(columns)
        conditions = [
            table.c[name] == value
            for name, value in {"mailbox": mailbox, "direction": direction, "state": state}.items()
            if value is not None
        ]
        if since is not None:
            conditions.append(messages.mail_time >= moment(since))
        if until is not None:
            conditions.append(messages.mail_time < moment(until))
        if record is not None:
            conditions += [table.c.entity == record[0], table.c.record_key == str(record[1])]
        needed = stored_columns(chosen)
        with self._system.store.read() as tx:
            rows = messages.select(tx, *conditions, columns=needed)
        return mail_frame(rows, chosen)

    def labels(self, frame: pd.DataFrame, field: str) -> pd.Series[Any]:
        """What people made of the mails of a frame: a field of their records, to judge rules by.

        Parameters
        ----------
        frame : DataFrame
            Of ``k.messages.frame()``.
        field : str
            Such as the group, or the category that a record is closed with.

        Returns
        -------
        Series
            With the frame's index: the value that a person (or a program other than our rules)
            last gave the field; missing where nobody did, or there is no record.

        Examples
        --------
        >>> labels = k.messages.labels(mail, "group")                # doctest: +SKIP
        >>> rule.backtest(mail).score(labels, "network")             # doctest: +SKIP
        """
        tied = frame[["entity", "record_key"]].dropna()
        keys = {
            index: RecordKey(entity=entity, key=key)
            for index, entity, key in zip(
                tied.index, tied["entity"], tied["record_key"], strict=True
            )
        }
        with self._system.store.read_only() as tx:
            values = past.set_by_people(tx, keys.values(), field)
        found = [values.get(keys[index]) if index in keys else None for index in frame.index]
        return pd.Series(found, index=frame.index, name=field, dtype="object")

    def suggestions(
        self, *, state: str | None = "open", mailbox: str | None = None
    ) -> pd.DataFrame:
        """The records that mails may belong to; ``k.messages[id].accept()`` or ``.dismiss()``.

        Parameters
        ----------
        state : {"open", "accepted", "dismissed"}, optional
            None gives all of them.
        mailbox : str, optional
            Only of this one.

        Returns
        -------
        DataFrame
            One row per suggestion; columns and dtypes as in ``kolibri_sdk.frames.SUGGESTIONS``.
        """
        with self._system.store.read() as tx:
            rows = suggestions.select(tx, state=state, mailbox=mailbox)
        return frame_of(rows, SUGGESTIONS)


def record_key(record: tuple[str, Any] | RecordKey) -> RecordKey:
    """The key of a record that is named by entity and key, such as ``("incident", 7)``."""
    if isinstance(record, RecordKey):
        return record
    entity, key = record
    return RecordKey(entity=entity, key=str(key))


def moment(value: str | date) -> datetime:
    """ISO 8601, a date or a datetime as a moment; UTC where no zone is named."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{value!r} is no time", "Write ISO 8601, such as 2026-05-01 or 2026-05-01T08:00Z"
            ) from error
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return clock.utc(value if value.tzinfo else value.replace(tzinfo=UTC))


class AttachmentView:
    """One attachment: its name, type and size, and its bytes on demand."""

    def __init__(self, system: System, stored: StoredAttachment) -> None:
        self._system = system
        self._stored = stored
        self.filename = stored.filename
        self.content_type = stored.content_type
        self.size = stored.size
        self.inline = stored.inline

    def read(self) -> bytes:
        """The decoded bytes."""
        with self._system.store.read() as tx:
            return blobs.get(tx, [self._stored.blob])[self._stored.blob]

    def __repr__(self) -> str:
        return f"<{self.filename} ({self.content_type}, {self.size:,} bytes)>"


class MessageView:
    """One KolibriMessage; its fields are attributes, its HTML is only ever shown sealed off."""

    def __init__(self, system: System, stored: StoredMessage) -> None:
        self._system = system
        self._stored = stored

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return getattr(self._stored, name)
        except AttributeError:
            fields = list(StoredMessage.__dataclass_fields__)
            raise AttributeError(str(NotFound.named("field of a message", name, fields))) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *StoredMessage.__dataclass_fields__})

    @property
    def record(self) -> RecordKey | None:
        """The record it belongs to."""
        return self._stored.record

    @property
    def attachments(self) -> list[AttachmentView]:
        """Its attachments, inline images included."""
        return [AttachmentView(self._system, part) for part in self._stored.attachments]

    @property
    def raw(self) -> bytes:
        """The mail byte for byte, as it came or went."""
        name = self._stored.blob
        if name is None:
            raise NotFound(
                f"Message {self._stored.id} has no bytes yet", "It is composed in the next pass"
            )
        with self._system.store.read() as tx:
            return blobs.get(tx, [name])[name]

    def attach(self, record: tuple[str, Any] | RecordKey) -> MessageView:
        """Tie the mail to a record by hand; both streams say who did. No rule is triggered.

        Parameters
        ----------
        record : tuple of (str, object) or RecordKey
            Such as ``("incident", 7)``.

        Raises
        ------
        NotFound
            When there is no such record.
        ConfigurationError
            When the mail went out from here, or its rules have not run yet.
        """
        system = self._system
        with system.store.write() as tx:
            attach(tx, system.tables, self._stored.id, record_key(record), system.user)
        return self._again()

    def detach(self) -> MessageView:
        """Mark the mail as no reply: it belongs to no record any more, whose stream says so.

        Raises
        ------
        NotFound
            When it belongs to none.
        """
        with self._system.store.write() as tx:
            detach(tx, self._system.tables, self._stored.id, self._system.user)
        return self._again()

    def accept(self, record: tuple[str, Any] | RecordKey | None = None) -> MessageView:
        """Accept the suggestion, or this one of several: the mail is tied to that record.

        Raises
        ------
        NotFound
            When nothing, or not this record, is suggested; when several are and none is named.
        """
        system, wanted = self._system, record_key(record) if record is not None else None
        with system.store.write() as tx:
            accept(tx, system.tables, self._stored.id, wanted, system.user)
        return self._again()

    def dismiss(self, record: tuple[str, Any] | RecordKey | None = None) -> MessageView:
        """Dismiss the suggestions, or this one; it is kept who did.

        Raises
        ------
        NotFound
            When nothing, or not this record, is suggested.
        """
        wanted = record_key(record) if record is not None else None
        with self._system.store.write() as tx:
            dismiss(tx, self._stored.id, wanted, self._system.user)
        return self._again()

    def _again(self) -> MessageView:
        with self._system.store.read() as tx:
            self._stored = messages.get(tx, self._stored.id)
        return self

    def decisions(self) -> pd.DataFrame:
        """What each rule said of it; columns as in ``kolibri_sdk.frames.DECISIONS``."""
        with self._system.store.read() as tx:
            rows = decisions.select(tx, message_id=self._stored.id)
        return frame_of(rows, DECISIONS)

    def __repr__(self) -> str:
        mail = self._stored
        return f"<message {mail.id} {mail.direction.value} {mail.sender}: {mail.subject!r}>"

    def _repr_html_(self) -> str:
        mail = self._stored
        head = definition_table(
            f"Message {mail.id}",
            {
                "From": mail.sender,
                "To": ", ".join(str(person) for person in mail.to),
                "Subject": mail.subject,
                "Received": mail.received_at,
                "Mailbox": f"{mail.mailbox} ({mail.direction.value}), {mail.state.value}",
                "Record": f"{mail.record} ({mail.grade})" if mail.record else "none",
                "Attachments": ", ".join(part.filename for part in mail.attachments) or "none",
                **({"Error": mail.error} if mail.error else {}),
                **({} if mail.html else {"Text": mail.text}),
            },
        )
        return head + (preview_frame(mail.html) if mail.html else "")
