"""One mail as it lies in an archive: its bytes, or why they are not to be had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["MOST_BYTES", "ArchivedMail"]

MOST_BYTES = 256 * 1024 * 1024  #: a mail that is larger is told, and not read


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """A mail of an archive.

    Parameters
    ----------
    source : str
        Where it lies: ``FILE``, ``FILE@OFFSET`` in an mbox, ``ARCHIVE!MEMBER`` in a zip or tar.
    folder : str
        The folder that it was filed in, such as ``Archive/2024``.
    raw : bytes or None
        Without the marks that an mbox puts between and into mails; None where it cannot be read.
    received_at : datetime or None
        What the archive says of its arrival; aware, UTC.
    error : str
        Why there are no bytes; empty where there are.
    """

    source: str
    folder: str
    raw: bytes | None
    received_at: datetime | None = None
    error: str = ""
