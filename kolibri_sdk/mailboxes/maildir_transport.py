"""Delivering into a Maildir instead of sending: for trials and demonstrations."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Self

from kolibri_sdk.checkpoint import reach
from kolibri_sdk.errors import ConnectionFailed, PermanentSendError, TemporarySendError
from kolibri_sdk.mailboxes.survey import FolderCount, Survey
from kolibri_sdk.mailboxes.transport import address_fault, refused
from kolibri_sdk.model.outbox import Delivery, Envelope, RecipientResult

__all__ = ["MaildirTransport"]


class MaildirTransport:
    """Writes each mail as one file; see :class:`~kolibri_sdk.mailboxes.MailTransport`.

    The file's name follows from Message-ID and envelope, so that a repeat writes no second one.
    Before the mail come Return-Path and, for each recipient, Delivered-To; the rest stays as it is.

    Parameters
    ----------
    mailbox : str
        The mailbox's name, for messages.
    path : Path
        The Maildir; made if it is not there.
    """

    def __init__(self, mailbox: str, path: Path) -> None:
        self._mailbox = mailbox
        self._path = path
        try:
            for name in ("tmp", "new", "cur"):
                (path / name).mkdir(parents=True, exist_ok=True)
            self._names = {name.partition(":2,")[0] for name in os.listdir(path / "cur")}
        except OSError as error:
            raise ConnectionFailed(
                mailbox,
                f"the Maildir {path} cannot be made: {error.strerror}",
                "Check `path:` of the outbound side.",
            ) from error

    def send(
        self, envelope: Envelope, raw: bytes, may: Callable[[], bool] | None = None
    ) -> Delivery:
        """Write the mail; all recipients share its fate, but for unfit addresses."""
        if envelope.sender and address_fault(envelope.sender):
            raise PermanentSendError(
                f"Mailbox {self._mailbox}: the sender {envelope.sender!r} is no address: "
                f"{address_fault(envelope.sender)}",
                "Correct `address:` in the mailbox's file.",
            )
        faults = {address: address_fault(address) for address in envelope.recipients}
        taken = tuple(address for address, fault in faults.items() if not fault)
        if may is not None and not may():
            return Delivery(())
        if taken:
            reach("send.before_data")
            self._write(Envelope(envelope.sender, taken), raw)
            reach("send.after_data")
        return Delivery(
            tuple(
                refused(address, fault)
                if fault
                else RecipientResult(address, "accepted", None, f"written to {self._path}")
                for address, fault in faults.items()
            )
        )

    def survey(self) -> Survey:
        """How many mails were delivered and lie there still."""
        mails = sum(len(os.listdir(self._path / name)) for name in ("new", "cur"))
        return Survey(folders=(FolderCount(self._path.name, mails, None),))

    def close(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, envelope: Envelope, raw: bytes) -> None:
        name = _name(envelope, raw)
        if name in self._names:  # a reader has it already
            return
        temporary = self._path / "tmp" / f"{name}.{uuid.uuid4().hex}"
        try:
            with temporary.open("xb") as file:
                file.write(_trace(envelope, raw) + raw)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._path / "new" / name)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise TemporarySendError(
                f"Mailbox {self._mailbox}: the mail cannot be written to {self._path}: "
                f"{error.strerror}",
                "Check that there is room and that we may write there.",
            ) from error


def _name(envelope: Envelope, raw: bytes) -> str:
    message_id = BytesHeaderParser().parsebytes(raw)["Message-ID"]
    identity = [str(message_id) if message_id else hashlib.sha256(raw).hexdigest()]
    identity += [envelope.sender, *sorted(envelope.recipients)]
    return hashlib.sha256("\n".join(identity).encode("utf-8", "replace")).hexdigest()[:40]


def _trace(envelope: Envelope, raw: bytes) -> bytes:
    newline = "\r\n" if b"\r\n" in raw[:1000] else "\n"
    lines = [f"Return-Path: <{envelope.sender}>"]
    lines += [f"Delivered-To: {address}" for address in envelope.recipients]
    return "".join(line + newline for line in lines).encode()
