"""What a file of an archive holds: an mbox, one mail, or something that is no mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath

from kolibri_sdk.archives.entries import Entry
from kolibri_sdk.archives.found import MOST_BYTES, ArchivedMail
from kolibri_sdk.archives.mbox import begins_mbox, split_mbox
from kolibri_sdk.archives.names import folder_name
from kolibri_sdk.archives.stream import ArchiveDamaged, Budget, ByteStream, unpacked

__all__ = ["described", "looks_like_mail", "mails_of"]

_HEAD = 4096
_MAIL = {".eml", ".emlx", ".mime", ".rfc822"}
_OUTLOOK = {".dbx", ".msg", ".olm", ".ost", ".pst"}
_FIELDS = re.compile(
    rb"^(?:from|to|subject|date|received|return-path|message-id|delivered-to|mime-version"
    rb"|x-mozilla-status|reply-to|sender)[ \t]*:",
    re.M | re.I,
)
_FIRST_LINE = re.compile(rb"[!-9;-~]+[ \t]*:|>?From ")
_ARRIVAL = re.compile(r"(\d{9,10})\.")  #: the name of a Maildir's mail begins with the seconds
_KNOWN = {
    b"!BDN": "an Outlook data file (.pst); export it as mbox or .eml",
    b"\xd0\xcf\x11\xe0": "an Outlook or old Office file; save the mails as .eml",
    b"PK\x03\x04": "a zip",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"7z\xbc\xaf": "a 7z archive; unpack it and name the folder",
    b"Rar!": "a RAR archive; unpack it and name the folder",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it first",
}


def mails_of(entry: Entry, budget: Budget) -> Iterator[ArchivedMail]:
    """The mails in a file of an archive; none where it plainly holds something else."""
    name = PurePosixPath(entry.path)
    if entry.error:
        yield ArchivedMail(entry.source, "", None, error=entry.error)
    elif name.suffix.lower() in _OUTLOOK:
        error = "it is in a format of Outlook's own; save the mails as .eml, or export an mbox"
        yield _unread(entry, error)
    else:
        try:
            with entry.opened() as stream:
                yield from _mails(entry, name, stream, budget)
        except ArchiveDamaged as error:
            yield _unread(entry, str(error))


def _mails(
    entry: Entry, name: PurePosixPath, stream: ByteStream, budget: Budget
) -> Iterator[ArchivedMail]:
    in_maildir = name.parent.name in {"cur", "new"}
    if in_maildir or name.suffix.lower() in _MAIL:
        yield _one_mail(entry, name, stream)
        return
    inner = unpacked(stream, entry.source, budget) or stream
    head = inner.peek(_HEAD)
    if begins_mbox(head):
        folder = folder_name(entry.path, of_file=True)
        for mail in split_mbox(inner):
            source = f"{entry.source}@{mail.offset}"
            yield ArchivedMail(source, folder, mail.raw, mail.received_at, mail.error)
    elif looks_like_mail(head):
        yield _one_mail(entry, name, inner)
    elif head.startswith(b"PK\x03\x04") or head[257:262] == b"ustar":
        error = (
            "an archive within an archive is not opened; unpack the outer one and name the folder"
        )
        yield _unread(entry, error)


def _one_mail(entry: Entry, name: PurePosixPath, stream: ByteStream) -> ArchivedMail:
    raw = stream.read_all(MOST_BYTES)
    if raw is None:
        return _unread(entry, f"it is larger than {MOST_BYTES:,} bytes and is not read")
    if not raw:
        return _unread(entry, "it is empty")
    if name.suffix.lower() == ".emlx":
        raw = _without_apples(raw)
    stamp = _ARRIVAL.match(name.name) if name.parent.name in {"cur", "new"} else None
    arrived = datetime.fromtimestamp(int(stamp[1]), UTC) if stamp else None
    return ArchivedMail(entry.source, folder_name(entry.path, of_file=False), raw, arrived)


def _without_apples(raw: bytes) -> bytes:
    """Apple Mail writes the number of bytes before the mail, and a property list behind it."""
    count, _, rest = raw.partition(b"\n")
    return rest[: int(count)] if count.strip().isdigit() else raw


def _unread(entry: Entry, error: str) -> ArchivedMail:
    return ArchivedMail(entry.source, folder_name(entry.path, of_file=False), None, error=error)


def looks_like_mail(head: bytes) -> bool:
    r"""Whether a file that begins like this is one mail.

    Examples
    --------
    >>> looks_like_mail(b"Received: from mx.example.org\nSubject: VPN\n\nHelp")
    True
    >>> looks_like_mail(b"key: value\n")
    False
    """
    text = head.lstrip(b"\xef\xbb\xbf\r\n")
    block = re.split(rb"\r?\n\r?\n", text, maxsplit=1)[0]
    return _FIRST_LINE.match(block) is not None and len(_FIELDS.findall(block)) >= 2


def described(head: bytes) -> str:
    """What a file looks like that is no mail archive, for a message."""
    if not head:
        return "is empty"
    for magic, what in _KNOWN.items():
        if head.startswith(magic):
            return f"looks like {what}"
    if b"\x00" in head:
        return "holds something binary"
    first = head.decode("utf-8", "replace").lstrip().splitlines()
    return f"begins with {first[0][:60]!r}" if first else "holds blank lines only"
