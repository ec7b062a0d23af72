"""Address headers to addresses: linear, and not fooled by quotes and comments.

The standard library's ``parseaddr`` can be made to see another address than the one that
mail programs show (CVE-2023-27043), and recurses on nested comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.limits import LIMITS, MailTooComplex
from kolibri_sdk.mail.words import decode_words
from kolibri_sdk.model.message import Address

__all__ = ["read_addresses"]

_TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")'
    r"|(?P<comment>\((?:[^()\\]|\\.)*\))"
    r"|(?P<angle><[^<>]*>)"
    r"|(?P<separator>[,;])"
    r"|(?P<group>:)"
    r'|(?P<plain>[^"(<,;:]+|.)',
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)")
_ROUTE = re.compile(r"^@[^:]*:")
_WORD = re.compile(r"[\w.+-]+")
_BARE = re.compile(r"[^\s<>()\",;:]+@[^\s<>()\",;:]+")


def read_addresses(values: Iterable[str], defects: Defects) -> tuple[Address, ...]:
    """The addresses of all headers of one name, in order; groups are dissolved.

    Parameters
    ----------
    values : iterable of str
        Header values, unfolded, encoded-words left standing.
    defects : Defects
        Takes what is wrong with them.

    Raises
    ------
    MailTooComplex
        When there are more addresses than the limit.

    Examples
    --------
    >>> read_addresses(['"Kühn, Anna" <anna@example.org>'], Defects())
    (Address(address='anna@example.org', name='Kühn, Anna'),)
    """
    found: list[Address] = []
    for value in values:
        current = _Mailbox()
        for token in _TOKEN.finditer(_flat_comments(value)):
            kind, text = token.lastgroup, token[0]
            if kind == "separator":
                current.close(found, defects)
                current = _Mailbox()
            elif kind == "group":
                current.drop_group_name()
            else:
                current.take(kind or "plain", text)
            if len(found) > LIMITS.addresses:
                raise MailTooComplex.exceeds("addresses", LIMITS.addresses)
        current.close(found, defects)
    return tuple(found)


def _flat_comments(value: str) -> str:
    """Comments within comments reduced to one level, the outermost kept."""
    if value.count("(") < 2 or "((" not in value.replace(" ", ""):
        return value
    depth, out = 0, []
    for char in value:
        if char == "(":
            depth += 1
            out.append("(" if depth == 1 else " ")
        elif char == ")" and depth:
            depth -= 1
            out.append(")" if depth == 0 else " ")
        else:
            out.append(char)
    return "".join(out)


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
            self._comments.append(_ESCAPE.sub(r"\1", text[1:-1]))
        elif kind == "quoted":
            self._whole.append(_ESCAPE.sub(r"\1", text[1:-1]))
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
            inner = _ROUTE.sub("", "".join(self._angle.split()))
            return inner, whole or comments
        if plain.startswith("@"):  # the local part stands in quotes
            return whole, comments
        # What stands in quotes is a name, even where it looks like an address.
        if bare := _BARE.search(plain) or _BARE.search(whole):
            return bare[0], whole.replace(bare[0], " ", 1).strip() or comments
        return (plain, comments) if _WORD.fullmatch(plain) else ("", whole)
