"""Address headers to addresses: linear, and not fooled by quotes and comments.

The standard library's ``parseaddr`` can be made to see another address than the one that
mail programs show (CVE-2023-27043), and recurses on nested comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.words import decode_words
from kolibri_sdk.model.message import Address

__all__ = ["read_addresses"]

_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_TOKEN = re.compile(
    r"(?P<angle><[^<>]*>)"
    r"|(?P<separator>[,;])"
    r"|(?P<group>:)"
    r"|(?P<plain>=\?[^?\s]{1,80}\?[bBqQ]\?[^?]*\?=|[^\"(<,;:=]+|.)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)")
_COMMENT = re.compile(r"\([^()]*\)")
_ROUTE = re.compile(r"^@[^:]*:")
_WORD = re.compile(r"[\w.+-]+")
_SPACED_DOT = re.compile(r"(@[^\s<>()@]*)\s+\.\s*(?=[A-Za-z0-9])")  # RFC 5322 section 4.4
_BARE = re.compile(r"(?<![^\s<>()\",;:])[^\s<>()\",;:@]++@[^\s<>()\",;:]+")


def read_addresses(
    values: Iterable[str], defects: Defects, most: int = LIMITS.addresses
) -> tuple[Address, ...]:
    """The addresses of all headers of one name, in order; groups are dissolved.

    Parameters
    ----------
    values : iterable of str
        Header values, unfolded, encoded-words left standing.
    defects : Defects
        Takes what is wrong with them.
    most : int
        How many addresses to read; where there are more, the mail exceeds its limit.

    Examples
    --------
    >>> read_addresses(['"Kühn, Anna" <anna@example.org>'], Defects())
    (Address(address='anna@example.org', name='Kühn, Anna'),)
    """
    found: list[Address] = []
    for value in values:
        if (plain := _plain_list(value, defects)) is not None:
            found += plain
            continue
        current = _Mailbox()
        for kind, text in _tokens(value):
            if kind == "separator":
                current.close(found, defects)
                current = _Mailbox()
            elif kind == "group":
                current.drop_group_name()
            else:
                current.take(kind, text)
            if len(found) > most:
                break
        current.close(found, defects)
    if len(found) > most:
        defects.exceed(LIMITS.addresses, "addresses")
    return tuple(found[:most])


# An address, with a name that is neither quoted nor commented: nothing to be taken apart.
_PLAIN = re.compile(r"\s*([^\"\\()<>@,;:]*)<([^\"\\()<>@,;:?\s]+@[^\"\\()<>@,;:?\s]+)>\s*")


_REMEMBERED = 200  # characters of a header
_ADDRESS = re.compile(r"\s*([^\"'\\()<>@,;:?=\s]+@[^\"'\\()<>@,;:?=\s]+)\s*")


def _plain_list(value: str, defects: Defects) -> Sequence[Address] | None:
    """Addresses without anything that would have to be taken apart; None where there is more."""
    found, noted = _known(value) if len(value) <= _REMEMBERED else _plain_entries(value)
    for defect in noted:
        defects.note(defect)
    return found


@lru_cache(maxsize=1024)
def _known(value: str) -> tuple[Sequence[Address] | None, tuple[str, ...]]:
    """What is read over and over: most mails of a mailbox go to the same few addresses."""
    return _plain_entries(value)


def _plain_entries(value: str) -> tuple[Sequence[Address] | None, tuple[str, ...]]:
    defects = Defects()
    found = []
    for entry in value.split(","):
        address = _plain(entry, defects)
        if address is None:
            return None, defects.found
        found.append(address)
    return found, defects.found


def _plain(value: str, defects: Defects) -> Address | None:
    found = _PLAIN.fullmatch(value)
    if found is None:
        bare = _ADDRESS.fullmatch(value)
        return Address(bare[1]) if bare else None
    name, address = found[1], found[2]
    if not name:
        return Address(address)
    name = " ".join(decode_words(name, defects).split()).strip("\"' ")
    return Address(address, "" if name == address else name)


def _tokens(value: str) -> Iterator[tuple[str, str]]:
    """The value cut into tokens; a quote or comment that never ends counts as plain text.

    Once one does not end, none after it does: looking again each time would be quadratic.
    """
    quotes = comments = True
    position = 0
    while position < len(value):
        char = value[position]
        if char == '"' and quotes:
            if quoted := _QUOTED.match(value, position):
                yield "quoted", _ESCAPE.sub(r"\1", quoted[1])
                position = quoted.end()
                continue
            quotes = False
        elif char == "(" and comments:
            end = _comment_end(value, position)
            if end > 0:
                yield "comment", " ".join(re.sub(r"\\|[()]", " ", value[position:end]).split())
                position = end
                continue
            comments = False
        token = _TOKEN.match(value, position)
        assert token is not None
        yield token.lastgroup or "plain", token[0]
        position = token.end()


def _comment_end(value: str, start: int) -> int:
    """Where the comment that begins here ends, comments within it counted; 0 if it does not."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(value, start):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    return 0


class _Mailbox:
    """One entry of an address list while its tokens come in."""

    __slots__ = ("_angle", "_comments", "_plain", "_whole")

    def __init__(self) -> None:
        self._whole: list[str] = []
        self._plain: list[str] = []  #: the same without what stands in quotes
        self._comments: list[str] = []
        self._angle: str | None = None

    def take(self, kind: str, text: str) -> None:
        if kind == "angle":
            self._angle = text[1:-1]
        elif kind == "comment":
            self._comments.append(text)
        elif kind == "quoted":
            self._whole.append(text)
        else:
            self._whole.append(text)
            self._plain.append(text)

    def drop_group_name(self) -> None:
        self._whole.clear()
        self._plain.clear()

    def close(self, found: list[Address], defects: Defects) -> None:
        address, name = self._parts()
        name = " ".join(decode_words(name, defects).split()).strip("\"' ")
        address = decode_words(address, defects)
        if address:
            if "@" not in address:
                defects.note("an address without @")
            found.append(Address(address, "" if name == address else name))
        elif name:
            defects.note("an entry without an address in an address header")

    def _parts(self) -> tuple[str, str]:
        comments = " ".join(self._comments)
        whole, plain = "".join(self._whole).strip(), "".join(self._plain).strip()
        if self._angle is not None:
            inner = _ROUTE.sub("", "".join(_COMMENT.sub("", self._angle).split()))
            return inner, whole or comments
        if plain.startswith("@"):  # the local part stands in quotes
            return whole, comments
        plain, whole = (_SPACED_DOT.sub(r"\1.", text) for text in (plain, whole))
        # What stands in quotes is a name, even where it looks like an address.
        if bare := _BARE.search(plain) or _BARE.search(whole):
            return bare[0], whole.replace(bare[0], " ", 1).strip() or comments
        return (plain, comments) if _WORD.fullmatch(plain) else ("", whole)
