"""A mail as a value: addresses, attachments, and what the parser makes of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = [
    "Address",
    "Attachment",
    "Authentication",
    "BounceReport",
    "Direction",
    "ForwardedMail",
    "MessageKind",
    "MessageState",
    "ParsedMail",
]


class Direction(StrEnum):
    """Which way a mail went."""

    IN = "in"
    OUT = "out"


class MessageKind(StrEnum):
    """What sort of mail it is; everything but ``ordinary`` counts as automatic."""

    ORDINARY = "ordinary"  #: written by a person
    AUTO_REPLY = "auto_reply"  #: out-of-office, acknowledgement (RFC 3834)
    BOUNCE = "bounce"  #: delivery status notification (RFC 3464) or one of its imitations
    OWN = "own"  #: one that we sent ourselves, and that came back
    LIST = "list"  #: newsletter or mailing list (RFC 2369, Precedence: bulk)


class MessageState(StrEnum):
    """How far a KolibriMessage has come."""

    FETCHED = "fetched"  #: raw bytes stored, not parsed yet
    PARSED = "parsed"  #: parsed, rules not run yet
    DONE = "done"  #: reference and rules done
    FAILED = "failed"  #: an action failed; it is tried again until ``attempts`` is used up
    UNPARSED = "unparsed"  #: cannot be parsed within the limits; raw bytes kept
    IMPORTED = "imported"  #: historic mail: triggers nothing
    HELD = "held"  #: outgoing: held back by a cap or for a person to look at; the outbox says why
    QUEUED = "queued"  #: outgoing: composed or about to be, waiting in the outbox
    SENT = "sent"  #: outgoing: accepted by the server
    UNSENT = "unsent"  #: outgoing: failed, uncertain or cancelled; the outbox says why


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address with its display name.

    Examples
    --------
    >>> str(Address("anna@example.org", "Anna Kühn"))
    'Anna Kühn <anna@example.org>'
    """

    address: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address

    @property
    def domain(self) -> str:
        """The part behind the last ``@``, lower case; empty where there is none."""
        return self.address.rpartition("@")[2].lower() if "@" in self.address else ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One part of a mail that is not its text: a file, an inline image, a nested message."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    content_id: str | None = None  #: without the angle brackets
    inline: bool = False

    @property
    def size(self) -> int:
        """Bytes of the decoded content."""
        return len(self.content)


#: Codes that are about one mail: its sender, its size, its content, a mailbox that is full now.
_OF_THE_MAIL = ("5.1.7", "5.1.8", "5.2.2", "5.2.3", "5.3.4", "5.6.", "5.7.")


@dataclass(frozen=True, slots=True)
class BounceReport:
    """What a bounce says of one recipient (RFC 3464 section 2.3)."""

    address: str
    status: str = ""  #: enhanced status code, such as ``5.1.1`` (RFC 3463)
    action: str = ""  #: failed, delayed, delivered, relayed, expanded
    diagnostic: str = ""
    original_message_id: str | None = None

    @property
    def permanent(self) -> bool:
        """Whether the status says that trying again would not help."""
        return self.status.startswith("5")

    @property
    def why(self) -> str:
        """Status and the server's words, the status once."""
        told = self.diagnostic if self.status in self.diagnostic else ""
        return (told or f"{self.status} {self.diagnostic}").strip()

    @property
    def failed(self) -> bool:
        """Whether this mail will not arrive any more; else a server is still trying."""
        return self.action not in {"delayed", "delivered", "relayed", "expanded"}

    @property
    def of_address(self) -> bool:
        """Whether it is the address that cannot be reached, rather than this mail that was refused.

        A full mailbox, a mail that is too large, a content or a sender that a server does not like
        say nothing of the next mail (RFC 3463 sections 3.2 to 3.8).

        Examples
        --------
        >>> BounceReport("a@x.example", "5.1.1").of_address
        True
        >>> BounceReport("a@x.example", "5.2.2").of_address
        False
        """
        return self.failed and self.permanent and not self.status.startswith(_OF_THE_MAIL)


@dataclass(frozen=True, slots=True)
class ForwardedMail:
    """The original of a mail that somebody passed on, as far as the forward tells of it."""

    sender: Address | None  #: the address is empty where only a name is told
    to: tuple[Address, ...] = ()
    sent: str | None = None  #: ISO 8601; without a zone where the forward names none
    subject: str = ""
    message_id: str | None = None  #: without angle brackets; of an attached original only

    def as_json(self) -> dict[str, Any]:
        """As conditions and the database see it."""
        return {
            "from": _person(self.sender) if self.sender else None,
            "to": [_person(one) for one in self.to],
            "sent": self.sent,
            "subject": self.subject,
            "message_id": self.message_id,
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> ForwardedMail:
        """The value that `as_json` gave the data of."""
        sender = data["from"]
        return cls(
            Address(sender["address"], sender["name"]) if sender else None,
            tuple(Address(one["address"], one["name"]) for one in data["to"]),
            data["sent"],
            data["subject"],
            data["message_id"],
        )


@dataclass(frozen=True, slots=True)
class Authentication:
    """What a trusted server found out about the sender (RFC 8601).

    The results are its words, such as ``pass``, ``fail``, ``softfail``, ``none``; None where the
    server did not check.
    """

    server: str  #: the authserv-id; several where the mailbox trusts several
    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None
    mailfrom: str = ""  #: the domain that SPF was checked for
    signed_by: tuple[str, ...] = ()  #: the domains whose DKIM signatures hold

    def as_json(self) -> dict[str, Any]:
        """As conditions and the database see it."""
        return {**asdict(self), "signed_by": list(self.signed_by)}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Authentication:
        """The value that `as_json` gave the data of."""
        return cls(**{**data, "signed_by": tuple(data["signed_by"])})


def _person(address: Address) -> dict[str, str]:
    return {"address": address.address, "name": address.name}


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What the parser makes of the bytes of one mail.

    Message-IDs (``message_id``, ``in_reply_to``, ``references``) are without angle brackets.
    ``headers`` holds every header in order, names as written, values decoded.
    """

    size: int
    message_id: str | None = None
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    from_: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    return_path: str | None = None  #: "" for the null return path, None where the header is missing
    subject: str = ""
    sent_at: datetime | None = None  #: aware, UTC
    text: str = ""
    html: str | None = None
    text_from_html: bool = False  #: whether there was no plain text, and ``text`` is the HTML's
    reply_text: str = ""  #: what the sender newly wrote; ``text`` keeps the whole
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    kind: MessageKind = MessageKind.ORDINARY
    bounces: tuple[BounceReport, ...] = ()
    forwarded: ForwardedMail | None = None  #: the original, where somebody passed it on
    authentication: Authentication | None = None  #: of a server that the mailbox trusts
    defects: tuple[str, ...] = ()
    incomplete: str = ""  #: why not all of it was read, in words

    @property
    def automatic(self) -> bool:
        """Whether no person wrote it: answering it could start a loop (RFC 3834 section 2)."""
        return self.kind is not MessageKind.ORDINARY

    @property
    def sender(self) -> Address | None:
        """The first From address."""
        return self.from_[0] if self.from_ else None

    def header(self, name: str) -> str | None:
        """The first value of this header, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)
