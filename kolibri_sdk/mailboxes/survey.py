"""What a server says of itself and its folders, for the check of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FolderCount", "Survey"]


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
class Survey:
    """The line's TLS version (None: not protected), the server's capabilities, its folders."""

    tls: str | None = None
    capabilities: tuple[str, ...] = ()
    folders: tuple[FolderCount, ...] = ()
