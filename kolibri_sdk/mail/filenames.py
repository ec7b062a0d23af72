"""File names of attachments made safe to write into any folder."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from collections import Counter

from kolibri_sdk.mail.charset import clean
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import read_head
from kolibri_sdk.mail.structure import Part

__all__ = ["fallback_name", "name_of", "safe_name", "type_of", "unique_name"]

_BYTES = 255  # what file systems take
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]')
# Marks that change the order in which a name is read: "gpj.exe" can look like "exe.jpg".
_DIRECTION = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_KNOWN = mimetypes.MimeTypes()  # Python's own table: the system's differs between machines
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")


def safe_name(name: str) -> str:
    r"""The last component of a name, without what is dangerous in it; empty if nothing is left.

    Parameters
    ----------
    name : str
        As the sender gave it.

    Returns
    -------
    str
        At most 255 bytes of UTF-8, its extension kept.

    Examples
    --------
    >>> safe_name("../../etc/passwd"), safe_name("C:\\temp\\a.txt"), safe_name("..")
    ('passwd', 'a.txt', '')
    """
    name = unicodedata.normalize("NFC", clean(name))
    name = _DIRECTION.sub("", name)
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r"\s+", " ", _FORBIDDEN.sub("_", re.sub(r"[\r\n\t]", " ", name)))
    name = name.strip(" .") if name.strip(" .") == "" else name.strip().rstrip(" .")
    if _DEVICES.match(name):
        name = f"_{name}"
    return _shortened(name)


def fallback_name(content_type: str, number: int) -> str:
    """A name for a part that has none.

    Examples
    --------
    >>> fallback_name("application/pdf", 2)
    'part-2.pdf'
    """
    extension = _EXTENSIONS.get(content_type) or _KNOWN.guess_extension(content_type) or ".bin"
    return f"part-{number}{extension}"


_EXTENSIONS = {
    "message/rfc822": ".eml",
    "message/delivery-status": ".txt",
    "text/rfc822-headers": ".txt",
    "text/calendar": ".ics",
    "text/plain": ".txt",
}


def type_of(name: str) -> str:
    """The content type that a file's name suggests.

    Examples
    --------
    >>> type_of("report.pdf"), type_of("report")
    ('application/pdf', 'application/octet-stream')
    """
    return _KNOWN.guess_type(name, strict=False)[0] or "application/octet-stream"


def name_of(part: Part, content: bytes, number: int) -> str:
    """A name for a part whose headers give it no file name.

    Of a nested mail its subject; else what its location or its description says, with an
    extension that fits its type.
    """
    located = safe_name(part.head.text("content-location").partition("?")[0].rpartition("/")[2])
    if "." in located.strip("."):
        return located
    fallback = fallback_name(part.content_type, number)
    stem = _subject(content) if part.content_type == "message/rfc822" else ""
    stem = stem or safe_name(part.head.text("content-description").replace("/", "-")[:120])
    if not stem:
        return fallback
    extension = fallback[fallback.rfind(".") :]
    return stem if re.search(r"\.[A-Za-z0-9]{2,5}$", stem) else safe_name(f"{stem}{extension}")


def _subject(content: bytes) -> str:
    head, _ = read_head(content, 0, len(content), Defects(), top=True)
    subject = safe_name(head.text("subject").replace("/", "-")[:120])
    return safe_name(f"{subject}.eml") if subject else ""


def unique_name(name: str, taken: Counter[str]) -> str:
    """A second ``report.pdf`` in one mail becomes ``report (2).pdf``.

    Parameters
    ----------
    name : str
        A safe name.
    taken : Counter
        The names in the mail so far, in lower case; it is counted up.
    """
    key = name.lower()
    taken[key] += 1
    if taken[key] == 1:
        return name
    stem, dot, extension = name.rpartition(".") if "." in name else (name, "", "")
    stem = stem.encode()[: _BYTES - 40].decode("utf-8", "ignore")  # else the number were cut off
    while True:
        unique = safe_name(f"{stem} ({taken[key]}){dot}{extension}")
        if unique.lower() not in taken:  # a "report (2).pdf" may have been there before
            taken[unique.lower()] = 1
            return unique
        taken[key] += 1


def _shortened(name: str) -> str:
    if len(name.encode()) <= _BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = f".{extension}".encode() if dot and len(extension.encode()) <= 20 else b""
    kept = (stem if tail else name).encode()[: _BYTES - len(tail)]
    return kept.decode("utf-8", "ignore").rstrip() + tail.decode()
