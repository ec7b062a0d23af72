"""What a server says of itself and its folders, for the check of a mailbox."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Certificate", "FolderCount", "Protection", "Survey", "protection"]


@dataclass(frozen=True, slots=True)
class FolderCount:
    """How many mails lie in a folder, and how many of them nobody has read (None: not known)."""

    folder: str
    mails: int
    unseen: int | None

    def __str__(self) -> str:
        unseen = "" if self.unseen is None else f", {self.unseen} unread"
        return f"{self.folder}: {self.mails} mails{unseen}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who vouches for the server, and until when; it was checked before anybody logged in."""

    issuer: str
    expires_at: datetime  #: aware, UTC

    def __str__(self) -> str:
        return f"certificate of {self.issuer} until {self.expires_at:%Y-%m-%d}"


@dataclass(frozen=True, slots=True)
class Protection:
    """How a line is protected by TLS."""

    version: str  #: such as TLSv1.3
    certificate: Certificate

    def __str__(self) -> str:
        return f"{self.version}, {self.certificate}"


def protection(line: Any) -> Protection | None:
    """What a connected socket says of its TLS; None where the line is not protected."""
    if not isinstance(line, ssl.SSLSocket):
        return None
    told: dict[str, Any] = line.getpeercert() or {}
    issuer = {name: value for part in told["issuer"] for name, value in part}
    names = ("organizationName", "commonName")
    seconds = ssl.cert_time_to_seconds(told["notAfter"])
    certificate = Certificate(
        next((issuer[name] for name in names if name in issuer), "an unnamed CA"),
        datetime.fromtimestamp(seconds, UTC),
    )
    return Protection(str(line.version()), certificate)


@dataclass(frozen=True, slots=True)
class Survey:
    """The line's TLS (None: not protected), the server's capabilities, its folders."""

    tls: Protection | None = None
    capabilities: tuple[str, ...] = ()
    folders: tuple[FolderCount, ...] = ()
