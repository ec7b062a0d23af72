"""One KolibriMessage: its fields, its record, what can be done with it by hand (S20, S21)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from kolibri_sdk.client.display import definition_table
from kolibri_sdk.client.outbox import results_of
from kolibri_sdk.client.writing import written_mail
from kolibri_sdk.errors import NotFound
from kolibri_sdk.frames import DECISIONS, frame_of
from kolibri_sdk.mail import preview_frame
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.stored import StoredAttachment, StoredMessage
from kolibri_sdk.pipeline import Asked, System
from kolibri_sdk.reference import accept, attach, detach, dismiss
from kolibri_sdk.store import blobs, decisions, messages, outbox

__all__ = ["AttachmentView", "MessageView", "record_key", "stored_message"]


def record_key(record: tuple[str, Any] | RecordKey) -> RecordKey:
    """The key of a record that is named by entity and key, such as ``("incident", 7)``."""
    if isinstance(record, RecordKey):
        return record
    entity, key = record
    return RecordKey(entity=entity, key=str(key))


def stored_message(system: System, given: Any) -> StoredMessage:
    """The row behind a message that is named by its number or its view."""
    if isinstance(given, MessageView):
        given = given.id
    if isinstance(given, StoredMessage):
        return given
    with system.store.read() as tx:
        return messages.get(tx, int(given))


class AttachmentView:
    """One attachment: its name, type and size, and its bytes on demand."""

    def __init__(self, system: System, stored: StoredAttachment) -> None:
        self._system = system
        self.stored = stored
        self.filename = stored.filename
        self.content_type = stored.content_type
        self.size = stored.size
        self.inline = stored.inline

    def read(self) -> bytes:
        """The decoded bytes."""
        with self._system.store.read() as tx:
            return blobs.get(tx, [self.stored.blob])[self.stored.blob]

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
    def results(self) -> dict[str, Mapping[str, Any]]:
        """Of an outgoing mail: what became of each recipient, as ``k.outbox[…].results``."""
        with self._system.store.read() as tx:
            item = outbox.of_message(tx, self._stored.id)
        return results_of(item) if item is not None else {}

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

    def reply(
        self,
        html: str | None = None,
        text: str | None = None,
        *,
        all: bool = False,  # noqa: A002 - what mail programs call it
        to: Any = (),
        cc: Any = (),
        bcc: Any = (),
        subject: str | None = None,
        attachments: Iterable[Any] = (),
        mailbox: str | None = None,
        language: str | None = None,
        quote: bool = True,
        sign: bool = True,
        dry_run: bool = False,
    ) -> Any:
        """Answer this mail by hand, quoting it, with In-Reply-To; from its record, if it has one.

        It goes to Reply-To, else to the sender; with ``all`` to everybody else who had the mail,
        too, but our own mailboxes. Parameters, result and errors are those of ``record.mail``;
        where the mail belongs to a record without activity stream, nothing is noted.

        Examples
        --------
        >>> k.messages[4711].reply("<p>Done.</p>", all=True)        # doctest: +SKIP
        """
        asked = Asked(
            to=to,
            cc=cc,
            bcc=bcc,
            subject=subject,
            html=html,
            text=text,
            mailbox=mailbox,
            language=language,
            record=self._stored.record,
            answers=self._stored,
            everybody=all,
            quote=quote,
            sign=sign,
        )
        return written_mail(self._system, asked, attachments, dry_run=dry_run)

    def forward(
        self,
        to: Any,
        html: str | None = None,
        text: str | None = None,
        *,
        cc: Any = (),
        bcc: Any = (),
        subject: str | None = None,
        attachments: Iterable[Any] = (),
        mailbox: str | None = None,
        language: str | None = None,
        sign: bool = True,
        dry_run: bool = False,
    ) -> Any:
        """Pass this mail on by hand, with its headers, its text and all its attachments.

        Parameters, result and errors are those of ``record.mail``; ``html`` or ``text`` stands
        above, and need not be given.

        Examples
        --------
        >>> k.messages[4711].forward("vendor@example.org", "<p>Please look.</p>")
        ... # doctest: +SKIP
        """
        asked = Asked(
            to=to,
            cc=cc,
            bcc=bcc,
            subject=subject,
            html=html,
            text=text,
            mailbox=mailbox,
            language=language,
            record=self._stored.record,
            forwards=self._stored,
            sign=sign,
        )
        return written_mail(self._system, asked, attachments, dry_run=dry_run)

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
