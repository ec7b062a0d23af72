"""Whether two copies of a mail are the same: what a mailbox's own format adds does not count."""

from __future__ import annotations

import hashlib
import re

__all__ = ["content_key", "content_names"]

#: Fields that mail programs and archives write into their own copy, and change there.
_BOOKKEEPING = (
    *(b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase"),
    *(b"x-mozilla-status", b"x-mozilla-status2", b"x-mozilla-keys", b"content-length", b"lines"),
    *(b"x-gm-thrid", b"x-gmail-labels"),
)
_MARK = re.compile(rb"\n(?:%b):" % b"|".join(_BOOKKEEPING))  #: in a head in lower case
_FIELDS = re.compile(
    rb"^(?:%b)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*" % b"|".join(_BOOKKEEPING), re.M | re.I
)
_QUOTED = re.compile(rb"^>+From ", re.M)
_HEAD_END = b"\r\n\r\n"


def content_key(raw: bytes) -> str:
    r"""SHA-256 of the mail as it went over the line, in hexadecimal.

    The same for the copies that IMAP, a Maildir and an mbox have of a mail: line ends, blank lines
    at the end, ">" before "From ", and fields such as ``Status`` or ``X-Mozilla-Status`` differ
    there. Nothing else may differ.

    Examples
    --------
    >>> by_imap = b"Subject: VPN\r\n\r\nFrom now on\r\n"
    >>> in_mbox = b"Subject: VPN\nStatus: RO\n\n>From now on\n\n"
    >>> content_key(by_imap) == content_key(in_mbox)
    True
    >>> content_key(by_imap) == content_key(b"Subject: VPN\r\n\r\nFrom then on\r\n")
    False
    """
    return hashlib.sha256(_as_sent(raw).rstrip(b"\r\n")).hexdigest()


def content_names(raw: bytes) -> tuple[str, str]:
    """The `content_key` of a mail, and the SHA-256 of its bytes as they are.

    Of most mails, the one is on the way to the other: what takes time is computed once.
    """
    sent = _as_sent(raw)
    kept = sent.rstrip(b"\r\n")
    digest = hashlib.sha256(kept)
    key = digest.hexdigest()
    if sent is not raw:
        return key, hashlib.sha256(raw).hexdigest()
    digest.update(raw[len(kept) :])
    return key, digest.hexdigest()


def _as_sent(raw: bytes) -> bytes:
    """The mail as it went over the line; the very same object where it is that already."""
    if raw.count(b"\n") != raw.count(b"\r\n"):
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    end = raw.find(_HEAD_END)
    head = raw[: end + 2] if end >= 0 else raw
    if _MARK.search(b"\n" + head.lower()):
        raw = _FIELDS.sub(b"", head) + raw[len(head) :]
    if b">From " in raw:
        raw = _QUOTED.sub(b"From ", raw)
    return raw
