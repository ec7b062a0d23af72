"""The header block of a mail or part: where it begins, where it ends, its fields in order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.words import decode_words, header_text, raw_text

__all__ = ["Head", "read_head"]

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|$)")
# The same where all is ASCII and every line ends with CRLF.
_PLAIN_FIELD = re.compile(r"([!-9;-~]+):(.*(?:\r\n[ \t].*)*)(?:\r\n|\Z)")
_BLANK = re.compile(rb"\r*\n")
_LINE = re.compile(rb"[^\n]*(?:\n|$)")
_LEADING = re.compile(rb"(?:[ \t]*\r*\n|\xef\xbb\xbf|>?From [^\n]*\n)+")
_KNOWN = re.compile(
    rb"^(?:from|to|cc|subject|date|message-id|mime-version|received|return-path|reply-to|sender"
    rb"|delivered-to|references|in-reply-to|content-[a-z-]+|x-[!-9;-~]+)[ \t]*:",
    re.I | re.M,
)
_END = re.compile(rb"\n\r?\n")


class Head:
    """The fields of one header block; values are bytes until somebody asks for text.

    Parameters
    ----------
    fields : sequence of (str, bytes or str)
        Names as written, values as written behind the colon; as text where they are ASCII,
        unfolded, and without blanks around them.
    defects : Defects
        Takes what is wrong with a value when it is decoded.
    """

    __slots__ = ("_defects", "_index", "charset", "fields")

    def __init__(self, fields: Sequence[tuple[str, bytes | str]], defects: Defects) -> None:
        self.fields = fields
        self.charset: str | None = None  #: what raw 8-bit values are read as
        self._defects = defects
        index: dict[str, list[bytes | str]] = {}
        for name, value in fields:
            low = name.lower()
            if low in index:
                index[low].append(value)
            else:
                index[low] = [value]
        self._index = index

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def any_begins(self, prefix: str) -> bool:
        """Whether there is a header whose name begins like that (in lower case)."""
        return f"\n{prefix}" in "\n" + "\n".join(self._index)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of these headers (names in lower case) is there."""
        return not names.isdisjoint(self._index)

    def all(self, name: str) -> list[str]:
        """All values of a header (name in lower case), unfolded, encoded-words left standing."""
        return [self._raw(value) for value in found] if (found := self._index.get(name)) else []

    def first(self, name: str) -> str:
        """The first value, as `all` gives it; empty where there is none."""
        found = self._index.get(name)
        return self._raw(found[0]) if found else ""

    def text(self, name: str) -> str:
        """The first value with its encoded-words decoded; empty where there is none."""
        found = self._index.get(name)
        return self._decoded(found[0]) if found else ""

    def decoded(self) -> list[tuple[str, str]]:
        """Every header in order, names as written, values decoded."""
        return [
            (name, value)
            if isinstance(value, str) and "=?" not in value
            else (name, self._decoded(value))
            for name, value in self.fields
        ]

    def _raw(self, value: bytes | str) -> str:
        if isinstance(value, str):
            return value
        return raw_text(value, self._defects, self.charset).strip()

    def _decoded(self, value: bytes | str) -> str:
        if isinstance(value, str):
            return decode_words(value, self._defects).strip() if "=?" in value else value
        return header_text(value, self._defects, self.charset)


def read_head(
    data: bytes, start: int, end: int, defects: Defects, *, top: bool = False
) -> tuple[Head, int]:
    """Read the header block that begins at ``start``.

    Parameters
    ----------
    data : bytes
        The whole mail.
    start, end : int
        Where the mail or part begins and ends in it.
    defects : Defects
        Takes what is wrong with the block.
    top : bool
        Whether it is the mail's own block, which may be found further down.

    Returns
    -------
    head : Head
    body : int
        Where the body begins.
    """
    begin = _top(data, start, end, defects) if top else start
    if plain := _plain_block(data, begin, end):
        return Head(plain[0], defects), plain[1]
    fields: list[tuple[str, bytes]] = []
    position = begin
    hope = 0  #: up to here, lines that are no headers stand among headers
    while position < end:
        if field := _FIELD.match(data, position, end):
            fields.append((field[1].decode("ascii"), field[2]))
            position = field.end()
        elif blank := _BLANK.match(data, position, end):
            position = blank.end()
            break
        elif position < hope or (hope := _next_known(data, position, end)):
            defects.note("a line in the header block that is no header")
            position = _next_line(data, position, end)
        else:
            defects.note("no blank line between headers and body" if fields else None)
            break
        if position - begin > LIMITS.header_bytes:
            defects.exceed(LIMITS.header_bytes, "bytes of headers")
            if field:
                fields.pop()
            position = _below_blank(data, position, end)
            break
    return Head(fields, defects), position


def _plain_block(data: bytes, begin: int, end: int) -> tuple[list[tuple[str, str]], int] | None:
    """The fields of a block that has no fault, and where the body begins: as most blocks are.

    It is ASCII without NUL, all its lines end with CRLF and are headers, a blank line ends it;
    so its texts can be had at once. Whatever else there is, `read_head` reads line by line.
    """
    stop = data.find(b"\r\n\r\n", begin, min(end, begin + LIMITS.header_bytes))
    block = data[begin:stop] if stop > 0 else b""
    if not block.isascii() or b"\x00" in block or block.count(b"\r") != block.count(b"\n"):
        return None
    fields = []
    size = -2  # the last line's end belongs to the blank line
    for name, value in _PLAIN_FIELD.findall(block.decode("ascii")):
        size += len(name) + len(value) + 3
        fields.append((name, (value.replace("\r\n", "") if "\n" in value else value).strip()))
    return (fields, stop + 4) if size == len(block) else None


def _top(data: bytes, start: int, end: int, defects: Defects) -> int:
    """Where the mail's own header block begins: it may stand below blank lines or chatter."""
    if leading := _LEADING.match(data, start, end):
        if leading[0].strip() == b"":
            defects.note("header block does not begin at the top")
        start = leading.end()
    if _FIELD.match(data, start, end):
        return start
    known = _KNOWN.search(data, start, min(end, start + 65536))
    if known is None:
        defects.note("no header block")
        return start
    defects.note("header block does not begin at the top")
    return known.start()


def _next_known(data: bytes, position: int, end: int) -> int:
    """Where the next well-known header of this block stands; 0 if the block is over."""
    stop = min(end, position + LIMITS.header_bytes)
    blank = _END.search(data, position, stop)
    known = _KNOWN.search(data, position, blank.end() if blank else stop)
    return known.start() if known else 0


def _below_blank(data: bytes, position: int, end: int) -> int:
    """Where the body begins below a header block that is too large to be read."""
    blank = _END.search(data, max(position - 1, 0), end)
    return blank.end() if blank else end


def _next_line(data: bytes, position: int, end: int) -> int:
    line = _LINE.match(data, position, end)
    assert line is not None
    return line.end()
