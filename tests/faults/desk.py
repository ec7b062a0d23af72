"""A service desk on Maildirs, quick to set up and to look into, for tests of faults."""

from __future__ import annotations

import mailbox
from pathlib import Path
from typing import Any

__all__ = ["drop", "maildir_sides"]


def maildir_sides(name: str, **reading: Any) -> dict[str, Any]:
    """Both sides of a mailbox: ``mail/NAME`` to read from, ``mail/sent`` to send to."""
    return {
        "inbound": {"protocol": "maildir", "path": f"mail/{name}", **reading},
        "outbound": {"protocol": "maildir", "path": "mail/sent"},
    }


def drop(root: Path, name: str, *mails: bytes) -> None:
    """Let mails arrive in ``mail/NAME``."""
    (root / "mail").mkdir(exist_ok=True)
    inbox = mailbox.Maildir(root / "mail" / name, create=True)
    for raw in mails:
        inbox.add(raw)
