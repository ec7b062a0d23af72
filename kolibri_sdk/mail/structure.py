"""A mail's bytes taken apart into a tree of parts, within the limits and without recursion.

Why not the standard library's parser: it reads line by line through one generator per level of
nesting, so that it raises RecursionError on what a few kilobytes can nest, and it decides on the
limits too late. Here one walk finds the parts by ``bytes.find`` and counts as it goes.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.head import Head, read_head
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.parameters import split_parameters
from kolibri_sdk.mail.transfer import undo

__all__ = ["Part", "read_structure"]

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_DELIMITER_REST = re.compile(rb"(--)?[ \t\r]*(?:\n|\Z)")
_GUESSED_BOUNDARY = re.compile(
    rb"^--([^\r\n]{3,200}?)[ \t]*\r?\n(?:Content-[a-z-]+|MIME-Version)[ \t]*:", re.M | re.I
)


@dataclass(slots=True, weakref_slot=True)
class Part:
    """A node of the tree: a multipart with children, or a leaf with a body.

    Who keeps a leaf and asks for its parents has to keep the root, too.
    """

    head: Head
    content_type: str
    parameters: dict[str, str]
    source: bytes = field(default=b"", repr=False)  #: the mail that it is part of
    start: int = 0  #: where its body begins in it
    end: int = 0
    children: list[Part] = field(default_factory=list)
    depth: int = 0
    # In a circle of parts each mail's bytes would stay until the garbage collector comes round.
    _parent: weakref.ref[Part] | None = field(default=None, repr=False)

    @property
    def parent(self) -> Part | None:
        """The multipart that it is in."""
        return self._parent() if self._parent else None

    def add(self, child: Part) -> None:
        """Take in a part."""
        self.children.append(child)
        child.depth = self.depth + 1
        child._parent = weakref.ref(self)

    def leaves(self) -> Iterator[Part]:
        """The leaves in the order of the mail."""
        stack = [self]
        while stack:
            part = stack.pop()
            if part.children:
                stack += reversed(part.children)
            elif not part.content_type.startswith("multipart/"):
                yield part

    @property
    def raw(self) -> bytes:
        """The body, still encoded."""
        return self.source[self.start : self.end]

    def content(self, defects: Defects) -> bytes:
        """The body with its transfer encoding undone."""
        body = memoryview(self.source)[self.start : self.end]
        return undo(body, self.head.first("content-transfer-encoding"), defects)

    def ancestors(self) -> Iterator[Part]:
        """The multiparts around it, from the inside to the outside."""
        part = self.parent
        while part is not None:
            yield part
            part = part.parent


@dataclass(slots=True)
class _Span:
    """Where a part lies in the mail, before its header block is read."""

    start: int
    end: int
    parent: Part | None
    default_type: str


def read_structure(raw: bytes, defects: Defects, most: int = LIMITS.parts) -> Part:
    """The root of the tree of parts.

    Parameters
    ----------
    raw : bytes
        The whole mail.
    defects : Defects
        Takes what is wrong with its structure, and which limits it exceeds: too many parts, too
        deep a nesting, too large a header block, too much time. The parts beyond are not read.
    most : int
        How many parts to read.
    """
    root: Part | None = None
    pending = [_Span(0, len(raw), None, "text/plain")]
    count = 0
    while pending:
        if count == most:
            defects.exceed(LIMITS.parts, "parts")
            break
        if count and defects.out_of_time():
            break
        count += 1
        span = pending.pop()
        part = _read_part(raw, span, defects)
        root = root or part
        pending += reversed(_children(raw, part, defects))
    assert root is not None
    return root


def _read_part(raw: bytes, span: _Span, defects: Defects) -> Part:
    head, body = read_head(raw, span.start, span.end, defects, top=span.parent is None)
    content_type, parameters = split_parameters(head.first("content-type"), defects)
    if not _TYPE.fullmatch(content_type):
        if content_type:
            defects.note("a Content-Type that is none")
        content_type = span.default_type
    head.charset = parameters.get("charset")
    part = Part(head, content_type, parameters, raw, body, span.end)
    if span.parent is not None:
        span.parent.add(part)
    return part


def _children(raw: bytes, part: Part, defects: Defects) -> list[_Span]:
    """The spans of a multipart's parts; a multipart without any becomes a text of its own."""
    if not part.content_type.startswith("multipart/"):
        return []
    if part.depth == LIMITS.depth:
        defects.exceed(LIMITS.depth, "multiparts within each other")
        return []
    spans: list[tuple[int, int]] = []
    boundary = part.parameters.get("boundary", "")
    # A quoted boundary may end with blanks (which RFC 2046 forbids); most often it must not.
    for name in dict.fromkeys((boundary, boundary.rstrip())):
        spans = spans or _split(raw, part, name.encode("utf-8", "replace"), defects)
    if not spans:
        defects.note("a multipart whose boundary is missing or never occurs")
        guess = _GUESSED_BOUNDARY.search(raw, part.start, part.end)
        spans = _split(raw, part, guess[1], defects) if guess else []
    if not spans:
        part.content_type = "text/plain"
        return []
    default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    return [_Span(first, last, part, default) for first, last in spans]


def _split(raw: bytes, part: Part, boundary: bytes, defects: Defects) -> list[tuple[int, int]]:
    """Where the parts between the delimiter lines begin and end (RFC 2046 section 5.1.1)."""
    if not boundary:
        return []
    start, end = part.start, part.end
    delimiter = b"--" + boundary
    spans: list[tuple[int, int]] = []
    opened: int | None = None
    position = raw.find(delimiter, start, end)
    while position >= 0:
        after = position + len(delimiter)
        rest = _DELIMITER_REST.match(raw, after, end)
        if rest and (position == start or raw[position - 1] in b"\r\n"):
            if opened is not None:
                spans.append((opened, _before_newline(raw, opened, position)))
                if len(spans) > LIMITS.parts:  # the loop over the parts says so
                    return spans
            opened = None if rest[1] else rest.end()
        position = raw.find(delimiter, after, end)
    if opened is not None:
        defects.note("a multipart that is cut off")
        spans.append((opened, end))
    return spans


def _before_newline(raw: bytes, start: int, position: int) -> int:
    """The line break before a delimiter belongs to the delimiter."""
    if position > start and raw[position - 1 : position] == b"\n":
        position -= 1
    if position > start and raw[position - 1 : position] == b"\r":
        position -= 1
    return position
