"""A mailbox as its administrator describes it: where mail comes in and goes out (S1, S14-S17)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document
from kolibri_sdk.model.oauth2 import OAuth2
from kolibri_sdk.model.secret import Password

__all__ = [
    "After",
    "Fetch",
    "ImapServer",
    "Inbound",
    "Mailbox",
    "MailboxDocument",
    "MaildirFolder",
    "MaildirOutbound",
    "MoveTo",
    "Outbound",
    "Password",
    "Pop3Server",
    "Retry",
    "Security",
    "SentCopy",
    "SignatureFiles",
    "SmtpServer",
    "Uncertain",
]

_IN_MAILDIR = re.compile(r"[^./\0]+(/[^./\0]+)*")


class Fetch(StrEnum):
    """Which mail is fetched (S15)."""

    UNREAD = "unread"  #: unseen mail, and what somebody else opened since the last run
    ALL = "all"  #: everything since the last run, whatever its flags (S16)


class After(StrEnum):
    """What happens on the server once the mail is safe in the database (S17)."""

    KEEP = "keep"
    SEEN = "seen"
    DELETE = "delete"


class MoveTo(Document):
    """The mail is moved into another folder of its mailbox, which is made when it is missing."""

    move: str = Field(min_length=1, description="the folder's name")


class Security(StrEnum):
    """How the line is protected; plain text only where it is asked for by name."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class _Reading(Document):
    """What all ways of reading a mailbox share."""

    fetch: Fetch = Field(Fetch.UNREAD, description="unread mail only, or all mail")
    after: After | MoveTo = Field(After.KEEP, description="what happens on the server afterwards")
    since: date | None = Field(None, description="first run: leave older mail alone")
    batch: int = Field(500, ge=1, le=500, description="mails per transaction at most")


class _Server(Document):
    host: str = Field(min_length=1)
    port: int | None = Field(None, ge=1, le=65535)
    ca: str | None = Field(None, description="file with the certificate of a private CA")
    timeout: float = Field(30.0, gt=0, description="seconds until a silent server counts as gone")


class ImapServer(_Server, _Reading):
    """An IMAP4rev1 mailbox (RFC 3501)."""

    protocol: Literal["imap"]
    user: str
    password: Password | None = None
    security: Security = Security.TLS
    folders: tuple[str, ...] = Field(("INBOX",), min_length=1)


class Pop3Server(_Server, _Reading):
    """A POP3 mailbox (RFC 1939)."""

    protocol: Literal["pop3"]
    user: str
    password: Password | None = None
    security: Security = Security.TLS

    @model_validator(mode="after")
    def _no_folders(self) -> Pop3Server:
        if isinstance(self.after, MoveTo):
            raise ValueError(  # noqa: TRY004 (what pydantic collects)
                "pop3 has no folders to move mail to; write keep or delete"
            )
        return self


class MaildirFolder(_Reading):
    """A Maildir on this machine, such as a local MTA's drop folder."""

    protocol: Literal["maildir"]
    path: str = Field(min_length=1, description="relative to the project folder, or absolute")

    @model_validator(mode="after")
    def _within(self) -> MaildirFolder:
        if isinstance(self.after, MoveTo) and not _IN_MAILDIR.fullmatch(self.after.move):
            raise ValueError("a folder of a Maildir is named like Archive or Archive/2026")
        return self


class Uncertain(StrEnum):
    """What becomes of a mail of which nobody knows whether it went out."""

    HOLD = "hold"  #: it stays so until a person, or evidence, decides
    RESEND = "resend"  #: it is sent again with the same Message-ID: twice rather than never


class SentCopy(StrEnum):
    """Who puts a copy of what was sent into the Sent folder of the mailbox (IMAP)."""

    APPEND = "append"  #: we do, once, unless it lies there already
    SERVER = "server"  #: the server does by itself; we only look there for what is uncertain


class Retry(Document):
    """How often, and when, a mail is tried again that a server did not take for the moment."""

    attempts: int = Field(default=12, ge=1, description="tries in all; then it has failed")
    first: float = Field(default=60.0, gt=0, description="seconds to the second; then doubled")
    longest: float = Field(default=14_400.0, gt=0, description="seconds between two tries at most")


class _Outgoing(Document):
    """What all ways of sending share."""

    rate: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,6}/(second|minute|hour|day)$",
        description="mails at most, such as 30/minute; more wait in the outbox",
    )
    retry: Retry = Field(Retry(), description="how often, and when, mail is tried again")
    uncertain: Uncertain = Field(
        Uncertain.HOLD, description="what becomes of mail that may have gone out"
    )
    sent_copy: SentCopy | None = Field(None, description="who puts a copy into the Sent folder")
    sent_folder: str | None = Field(
        None, min_length=1, description=r"its name; else the folder that the server calls \Sent"
    )

    @property
    def allowance(self) -> tuple[int, timedelta] | None:
        """How many mails in which time; None without a limit.

        Examples
        --------
        >>> MaildirOutbound(protocol="maildir", path="out", rate="30/minute").allowance
        (30, datetime.timedelta(seconds=60))
        """
        if self.rate is None:
            return None
        number, _, unit = self.rate.partition("/")
        seconds = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}[unit]
        return int(number), timedelta(seconds=seconds)

    @model_validator(mode="after")
    def _some_copy(self) -> _Outgoing:
        if self.sent_folder is not None and self.sent_copy is None:
            raise ValueError("sent_folder needs sent_copy: append, or server")
        return self


class SmtpServer(_Server, _Outgoing):
    """An SMTP submission server (RFC 6409)."""

    protocol: Literal["smtp"]
    user: str | None = None
    password: Password | None = None
    security: Security = Security.STARTTLS
    mails_per_connection: int = Field(
        200, ge=1, description="after so many the connection is made anew"
    )


class MaildirOutbound(_Outgoing):
    """A Maildir that takes the outgoing mail instead of a server: for trials and demonstrations."""

    protocol: Literal["maildir"]
    path: str = Field(min_length=1)


class SignatureFiles(Document):
    """What stands below a mail that a person writes: files, relative to the project folder."""

    html: str | None = Field(None, min_length=1, description="with {{ user.name }} where wanted")
    text: str | None = Field(None, min_length=1, description="plain; made from html without it")

    @model_validator(mode="after")
    def _some_file(self) -> SignatureFiles:
        if self.html is None and self.text is None:
            raise ValueError("name a file: html, text, or both")
        return self


Inbound = Annotated[ImapServer | Pop3Server | MaildirFolder, Field(discriminator="protocol")]
Outbound = Annotated[SmtpServer | MaildirOutbound, Field(discriminator="protocol")]


class MailboxDocument(Document):
    """``rules/mailboxes/NAME.yaml``."""

    address: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    display_name: str = ""
    aliases: tuple[str, ...] = Field((), description="other addresses that are this mailbox")
    oauth2: OAuth2 | None = Field(None, description="signs in to both sides without a password")
    language: str = Field("en", description="the default language of its templates")
    inbound: Inbound | None = None
    outbound: Outbound | None = None
    signature: dict[str, SignatureFiles] = Field(
        default_factory=dict, description="by language; below mail that a person writes"
    )
    plus_addressing: bool = Field(False, description="support+TOKEN@… reaches this mailbox")
    trusted_authserv: tuple[str, ...] = Field(
        (), description="servers whose Authentication-Results count; the topmost of each"
    )
    answers_per_hour: int = Field(
        5, ge=1, description="automatic answers to one address in an hour; more are held"
    )
    answers_alike_per_hour: int = Field(
        2, ge=1, description="of these, on one record or subject: more would be a loop"
    )
    answers_per_hour_to_domain: int = Field(
        60, ge=1, description="automatic answers to all addresses of one domain in an hour"
    )
    answers_per_hour_in_total: int = Field(
        200, ge=1, description="automatic answers to anybody in an hour"
    )
    notices_per_hour: int = Field(
        60, ge=1, description="automatic mails in an hour to one address that did not cause them"
    )
    notices_per_hour_of_a_rule: int = Field(
        500,
        ge=1,
        description="mails of one outgoing rule in an hour; more are held together, as a plan",
    )

    @model_validator(mode="after")
    def _some_side(self) -> MailboxDocument:
        if self.inbound is None and self.outbound is None:
            raise ValueError("a mailbox needs inbound or outbound, or both")
        return self

    @model_validator(mode="after")
    def _some_sent_folder(self) -> MailboxDocument:
        asked = self.outbound is not None and self.outbound.sent_copy is not None
        if asked and not isinstance(self.inbound, ImapServer):
            raise ValueError("sent_copy needs an inbound side by imap, where the Sent folder is")
        return self

    @model_validator(mode="after")
    def _some_secret(self) -> MailboxDocument:
        inbound = self.inbound
        if isinstance(inbound, ImapServer | Pop3Server) and not (inbound.password or self.oauth2):
            raise ValueError("inbound needs a password, or the mailbox oauth2")
        return self


class Mailbox(MailboxDocument):
    """A mailbox with its name; made from its file."""

    name: str
    file: str = Field("", description="where it was read")

    @property
    def login_name(self) -> str:
        """The user name of its servers."""
        for side in (self.inbound, self.outbound):
            if isinstance(side, ImapServer | Pop3Server | SmtpServer) and side.user:
                return side.user
        return self.address

    @property
    def own_addresses(self) -> frozenset[str]:
        """Address and aliases, lower case."""
        return frozenset(a.lower() for a in (self.address, *self.aliases))

    def leaves_alone(self, folder: str) -> bool:
        """Whether the mails of this folder stay as they are on the server.

        Those in a folder that mail is moved to do, where that one is read as well.
        """
        after = self.inbound.after if self.inbound else After.KEEP
        return after is After.KEEP or (isinstance(after, MoveTo) and after.move == folder)

    def bounds_first_import(self) -> datetime | None:
        """The moment before which the first run leaves mail alone, or None."""
        since = self.inbound.since if self.inbound else None
        return datetime(since.year, since.month, since.day, tzinfo=UTC) if since else None
