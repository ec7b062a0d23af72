"""Splitting an mbox into mails, in one pass and whatever its size (RFC 4155, and what is about).

There are four customs, and none says which one it is. In mboxrd and mboxo a line of the mail that
begins with "From " gets a ">" in front; mboxcl counts the body in Content-Length as well; mboxcl2
counts it and quotes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from kolibri_sdk.archives.found import MOST_BYTES
from kolibri_sdk.archives.stream import BLOCK, ArchiveDamaged, ByteStream

__all__ = ["MboxMail", "begins_mbox", "split_mbox"]

_LINE = 1000  #: a longer one separates nothing
_AHEAD = 8192  #: what must be seen beyond a line to say whether it separates
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun",
           b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")  # fmt: skip
#: "From ", somebody or nobody, and a date as asctime or RFC 5322 write it, in some order.
_POSTMARK = re.compile(
    rb"From [^\n]*?\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?[ \t]+(?=[^\n]*\b((?:19|20)\d\d)\b)"
    rb"(?:(\d{1,2})[ \t]+)?(%b)[ \t]+(?:(\d{1,2})[ \t]+)?(?:\d{4}[ \t]+)?"
    rb"(\d{1,2}):(\d\d)(?::(\d\d))?" % b"|".join(_MONTHS)
)
_UNDATED = re.compile(rb"From (?:\S+@\S+|-|MAILER-DAEMON)[ \t]*\r?$")
_FIELD = re.compile(rb"(?:[!-9;-~]+[ \t]*:|>From )")
_QUOTED = re.compile(rb"^>(>*From )", re.M)
_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,12})[ \t]*\r?$", re.M | re.I)
_HEAD_END = re.compile(rb"\n\r?\n")
_BLANK = re.compile(rb"(?:\r?\n){0,2}")


@dataclass(frozen=True, slots=True)
class MboxMail:
    """A mail, the offset of its "From " line, the date there; or why it cannot be had."""

    offset: int
    raw: bytes | None
    received_at: datetime | None = None
    error: str = ""


def begins_mbox(head: bytes) -> bool:
    r"""Whether a file that begins like this is an mbox.

    Examples
    --------
    >>> begins_mbox(b"From anna@example.org Fri May  1 12:00:00 2026\nSubject: VPN\n\nHelp")
    True
    >>> begins_mbox(b"From: anna@example.org\n\nHelp")
    False
    """
    text = head.lstrip(b"\xef\xbb\xbf\r\n")
    return text.startswith(b"From ") and _separates(text, 0, blank=True)


def split_mbox(stream: ByteStream, most: int = MOST_BYTES) -> Iterator[MboxMail]:
    """The mails of an mbox; where it is damaged, what comes before, and then the reason.

    Parameters
    ----------
    stream : ByteStream
        At its beginning.
    most : int
        Bytes of a mail; a larger one is told, its content is passed over.
    """
    return iter(_Splitter(stream, most))


class _Splitter:
    """The part of the file at hand, and where in the file it begins."""

    def __init__(self, stream: ByteStream, most: int) -> None:
        self._stream = stream
        self._most = most
        self._held = bytearray()
        self._offset = 0
        self._ended = False
        self._damage = ""
        self._counted: bool | None = None  #: whether this file counts bodies; the first mail tells

    def __iter__(self) -> Iterator[MboxMail]:
        self._fill(_AHEAD)
        self._drop(len(self._held) - len(self._held.lstrip(b"\xef\xbb\xbf\r\n")))
        while self._held:
            yield self._mail()
        if self._damage:
            yield MboxMail(self._offset, None, error=self._damage)

    def _mail(self) -> MboxMail:
        self._fill(_AHEAD)
        start = self._held.find(b"\n", 0, _LINE) + 1
        arrived = _postmark_date(bytes(self._held[:start]))
        offset = self._offset
        end = self._counted_end(start)
        quoted = end is None or self._held.find(b"\nFrom ", start, end) < 0
        if end is None:
            end, passed_over = self._searched_end(start)
            if passed_over:
                self._drop(end)
                error = f"a mail of {self._offset - offset:,} bytes; more than {self._most:,}"
                return MboxMail(offset, None, arrived, f"{error} is not read")
        raw = bytes(memoryview(self._held)[start:end])
        self._drop(end)
        if quoted and b">From " in raw:
            raw = _QUOTED.sub(rb"\1", raw)
        return MboxMail(offset, _without_separator(raw), arrived)

    def _counted_end(self, start: int) -> int | None:
        """Where the mail ends by its Content-Length, if this file is one that counts."""
        if self._counted is False:
            return None
        head = _HEAD_END.search(self._held, max(start - 1, 0))
        length = _LENGTH.search(self._held, start, head.end()) if head else None
        end = None
        if head and length and int(length[1]) <= self._most:
            self._fill(head.end() + int(length[1]) + _AHEAD)
            end = self._separator_behind(head.end() + int(length[1]))
        # A sender can write a Content-Length, too, and so hide the mails behind his. Only where
        # the first mail's is right was it the mail system that counted.
        if self._counted is None:
            self._counted = end is not None
        return end

    def _separator_behind(self, at: int) -> int | None:
        blank = _BLANK.match(self._held, at)
        end = blank.end() if blank else at
        if end >= len(self._held):
            return len(self._held) if self._ended and at <= len(self._held) else None
        return end if _separates(self._held, end, blank=True) else None

    def _searched_end(self, start: int) -> tuple[int, bool]:
        """Where the next mail begins; and whether this one is too large, its content dropped."""
        at, passed_over = max(start - 1, 0), False
        while True:
            at = self._held.find(b"\nFrom ", at)
            if at >= 0:
                self._fill(at + _AHEAD)
                before = bytes(self._held[max(at - 2, 0) : at + 1])
                if _separates(self._held, at + 1, blank=before.endswith((b"\n\n", b"\n\r\n"))):
                    return at + 1, passed_over
                at += 1
            elif self._ended:
                return len(self._held), passed_over
            else:
                at = max(len(self._held) - 5, 0)
                if len(self._held) - start > self._most or passed_over:
                    passed_over = True
                    cut = max(at - 3, 0)
                    self._drop(cut)
                    at -= cut
                self._fill(len(self._held) + 1)

    def _fill(self, size: int) -> None:
        while len(self._held) < size and not self._ended:
            try:
                more = self._stream.read(BLOCK)
            except ArchiveDamaged as error:
                self._damage, more = str(error), b""
            self._held += more
            self._ended = not more

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._offset += count


def _separates(held: bytes | bytearray, at: int, *, blank: bool) -> bool:
    """Whether the line "From …" at this place begins a mail, or belongs to somebody's text."""
    end = held.find(b"\n", at, at + _LINE)
    if end < 0:
        return False
    line = bytes(held[at:end])
    behind = bytes(held[end + 1 : end + 257])
    header_follows = _FIELD.match(behind) is not None
    if _POSTMARK.match(line):
        return header_follows or (blank and behind[:2] in {b"", b"\n", b"\r\n", *_LONE})
    return blank and header_follows and _UNDATED.match(line) is not None


_LONE = {b"\n" + bytes([byte]) for byte in range(256)}  #: an empty line and whatever comes then


def _without_separator(raw: bytes) -> bytes:
    """The mail without the empty line that an mbox puts behind each."""
    if raw.endswith(b"\r\n\r\n"):
        return raw[:-2]
    return raw[:-1] if raw.endswith(b"\n\n") else raw


def _postmark_date(line: bytes) -> datetime | None:
    found = _POSTMARK.match(line)
    if found is None:
        return None
    year, before, month, behind, hour, minute, second = found.groups()
    try:
        return datetime(
            int(year), _MONTHS.index(month) + 1, int(before or behind or 1),
            int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
