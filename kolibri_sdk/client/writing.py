"""Mail by hand: what a person gives for a mail, the preview of it, and sending it (S9-S13)."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kolibri_sdk.client.display import definition_table
from kolibri_sdk.client.outbox import OutboxView
from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mail import preview_frame
from kolibri_sdk.model.message import Address, Attachment
from kolibri_sdk.model.stored import StoredAttachment
from kolibri_sdk.outbox import Dropped, bytes_of, post
from kolibri_sdk.pipeline import Asked, System, Written, write
from kolibri_sdk.store import blobs

__all__ = ["WrittenMail", "attachments_of", "written_mail"]


class WrittenMail:
    """A mail that is written and not queued: the very bytes that ``send`` would queue.

    Examples
    --------
    >>> mail = k.records["incident", 7].mail(to="anna@example.org", html="<p>Hi</p>",
    ...                                      dry_run=True)           # doctest: +SKIP
    >>> mail.send()                                                 # doctest: +SKIP
    <outbox 17 queued to anna@example.org>
    """

    def __init__(self, system: System, written: Written) -> None:
        self._system = system
        self._letter = written.letter
        self.notes = written.notes  #: such as: mails to this address came back
        self.left_out: tuple[Dropped, ...] = written.left_out  #: who gets nothing, and why

    @property
    def subject(self) -> str:
        """With the tag of its reference."""
        return self._letter.subject

    @property
    def html(self) -> str | None:
        """As it goes out: sanitised, styles inlined, with signature and quote."""
        return self._letter.html

    @property
    def text(self) -> str:
        """The plain twin."""
        return self._letter.text

    @property
    def raw(self) -> bytes:
        """The mail byte for byte as it goes out."""
        return bytes_of(self._letter)

    @property
    def to(self) -> tuple[Address, ...]:
        """The header To; ``cc`` and ``bcc`` (which no header shows) as well."""
        return self._letter.to

    @property
    def cc(self) -> tuple[Address, ...]:
        """The header Cc."""
        return self._letter.cc

    @property
    def bcc(self) -> tuple[Address, ...]:
        """Who gets it unseen by the others."""
        return self._letter.bcc

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Files, and the images within the HTML."""
        return self._letter.attachments

    @property
    def mailbox(self) -> str:
        """The mailbox it would go out by."""
        return self._letter.mailbox.name

    @property
    def message_id(self) -> str:
        """Its Message-ID, minted already."""
        return self._letter.carriers.message_id

    def send(self) -> OutboxView:
        """Queue it, in one transaction with the entry in the activity stream; twice is once."""
        with self._system.store.write() as tx:
            number = post(tx, self._letter)
        return OutboxView(self._system, number, self._told())

    def _told(self) -> list[str]:
        return [*(f"{one.value} {one.reason}" for one in self.left_out), *self.notes]

    def __repr__(self) -> str:
        people = ", ".join(self._letter.recipients)
        return f"<mail not sent yet, by {self.mailbox} to {people}: {self.subject!r}>"

    def _repr_html_(self) -> str:
        values = {
            "By": self.mailbox,
            **{
                name: ", ".join(map(str, people))
                for name, people in {"To": self.to, "Cc": self.cc, "Bcc": self.bcc}.items()
                if people
            },
            "Subject": self.subject,
            "Attachments": ", ".join(one.filename for one in self.attachments) or "none",
            "Size": f"{len(self.raw):,} bytes",
            **({"Notes": "\n".join(self._told())} if self._told() else {}),
            **({} if self.html else {"Text": self.text}),
        }
        head = definition_table("Mail, not sent yet", values)
        return head + (preview_frame(self.html) if self.html else "")


def written_mail(
    system: System, asked: Asked, attachments: Iterable[Any], *, dry_run: bool
) -> OutboxView | WrittenMail:
    """Write a mail and queue it, or only show it."""
    given = attachments_of(system, attachments)
    mail = WrittenMail(system, write(system, replace(asked, attachments=given)))
    return mail if dry_run else mail.send()


def attachments_of(system: System, given: Iterable[Any]) -> tuple[Attachment, ...]:
    """Files by path, pairs of name and bytes, or attachments of stored messages, with their bytes.

    Raises
    ------
    ConfigurationError
        When a file cannot be read, or something else is given.
    """
    if isinstance(given, str | Path):
        given = [given]
    return tuple(_attachment(system, one) for one in given)


def _attachment(system: System, given: Any) -> Attachment:
    stored = getattr(given, "stored", given)
    if isinstance(stored, StoredAttachment):
        with system.store.read() as tx:
            content = blobs.get(tx, [stored.blob])[stored.blob]
        return Attachment(stored.filename, stored.content_type, content)
    if isinstance(given, Attachment):
        return given
    if isinstance(given, str | Path):
        path = Path(given)
        try:
            return Attachment(path.name, _kind(path.name), path.read_bytes())
        except OSError as error:
            raise ConfigurationError(
                f"The attachment {path} cannot be read: {error.strerror}", "Correct the path"
            ) from error
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], bytes | bytearray):
        return Attachment(str(given[0]), _kind(str(given[0])), bytes(given[1]))
    raise ConfigurationError(
        f"{type(given).__name__} is no attachment",
        "Give a path, a pair (name, bytes), or an attachment of a message",
    )


def _kind(name: str) -> str:
    kind, packed = mimetypes.guess_type(name)
    return "application/octet-stream" if kind is None or packed else kind
