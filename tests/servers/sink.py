"""An SMTP server that keeps what it is given: the far end of every sending test."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.servers import free_port

__all__ = ["Sink", "Taken"]


class Taken(NamedTuple):
    """One mail as it came in."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        """The mail, parsed."""
        return message_from_bytes(self.raw, policy=policy.default)


class Sink:
    """Takes every mail and keeps it in ``taken``, in order; a context manager.

    Subclasses override aiosmtpd's ``handle_*`` hooks to refuse something.
    """

    def __init__(self, **options: Any) -> None:
        self.taken: list[Taken] = []
        self.port = free_port()
        self._controller = Controller(self, "127.0.0.1", self.port, **options)

    def __enter__(self) -> Sink:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def to(self, address: str) -> list[Taken]:
        """What came in for this recipient."""
        return [taken for taken in self.taken if address in taken.recipients]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        content = envelope.content
        assert isinstance(content, bytes)
        sender = "" if envelope.mail_from in (None, "<>") else envelope.mail_from
        self.taken.append(Taken(sender or "", tuple(envelope.rcpt_tos), content))
        return "250 2.0.0 kept"
