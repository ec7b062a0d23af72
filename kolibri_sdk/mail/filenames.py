"""File names of attachments made safe to write into any folder."""

from __future__ import annotations

import mimetypes
import re
import unicodedata

from kolibri_sdk.mail.charset import clean

__all__ = ["fallback_name", "safe_name"]

_BYTES = 255  # what file systems take
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*]')
# Marks that change the order in which a name is read: "gpj.exe" can look like "exe.jpg".
_DIRECTION = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
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
    extension = _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"
    return f"part-{number}{extension}"


_EXTENSIONS = {
    "message/rfc822": ".eml",
    "message/delivery-status": ".txt",
    "text/rfc822-headers": ".txt",
    "text/calendar": ".ics",
    "text/plain": ".txt",
}


def _shortened(name: str) -> str:
    if len(name.encode()) <= _BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = f".{extension}".encode() if dot and len(extension.encode()) <= 20 else b""
    kept = (stem if tail else name).encode()[: _BYTES - len(tail)]
    return kept.decode("utf-8", "ignore").rstrip() + tail.decode()
