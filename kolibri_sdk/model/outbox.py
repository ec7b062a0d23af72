"""The outbox as values: its states, the envelope, and what the server said of each recipient."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Delivery", "Envelope", "OutboxState", "RecipientResult", "Spent"]


class OutboxState(StrEnum):
    """How far a mail to be sent has come."""

    QUEUED = "queued"  #: to be rendered and sent when it is due
    SENDING = "sending"  #: claimed by a sender; committed before the mail is handed over
    SENT = "sent"  #: the server took it for at least one recipient, nothing is left to try
    FAILED = "failed"  #: nobody gets it: refused, or it cannot be rendered
    UNCERTAIN = "uncertain"  #: the line or the process was lost after DATA and before the reply
    HELD = "held"  #: a cap was reached, or a person holds it back
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Spent:
    """One recipient of an automatic mail, as the caps of the mailbox count it."""

    mailbox: str
    kind: str  #: "answer": the recipient wrote the mail that caused it; else "notice"
    address: str  #: lower case
    thread: str = ""  #: the subject of that mail, without what changes from mail to mail
    record: str | None = None  #: which it is about
    rule: str = ""  #: of an outgoing rule: ``incident/group-changed``

    @property
    def domain(self) -> str:
        """Of the address."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends and who receives, as the SMTP dialogue says it (RFC 5321 section 2.3.1)."""

    sender: str  #: "" is the null return path
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of one recipient."""

    address: str
    status: str  #: "accepted" | "temporary" | "permanent"
    code: int | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the server said of the mail: one result per recipient."""

    results: tuple[RecipientResult, ...]

    @property
    def accepted(self) -> tuple[str, ...]:
        """The addresses that the server took the mail for."""
        return tuple(r.address for r in self.results if r.status == "accepted")
