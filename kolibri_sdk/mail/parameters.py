"""Content-Type and Content-Disposition taken apart, RFC 2231 included, in linear time."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from kolibri_sdk.mail.charset import decode
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.limits import LIMITS
from kolibri_sdk.mail.words import decode_words

__all__ = ["split_parameters"]

_PARAMETER = re.compile(
    r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*(?:"|$)|[^;"]*(?:"[^;"]*)*)', re.DOTALL
)
_ESCAPE = re.compile(r"\\([\"\\])")
_REMEMBERED = 200  # characters of a header
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")


def split_parameters(value: str, defects: Defects) -> tuple[str, dict[str, str]]:
    """The value before the first semicolon in lower case, and its parameters by lower-case name.

    Parameters
    ----------
    value : str
        The header, unfolded, its encoded-words left standing.
    defects : Defects
        Takes what is wrong with it.

    Examples
    --------
    >>> split_parameters("attachment; filename*=utf-8''B%C3%A4r.pdf", Defects())
    ('attachment', {'filename': 'Bär.pdf'})
    >>> split_parameters('text/plain; name*0="a"; name*1="b.txt"', Defects())
    ('text/plain', {'name': 'ab.txt'})
    """
    if len(value) > _REMEMBERED:
        return _split(value, defects)
    main, parameters, noted = _known(value)
    for defect in noted:
        defects.note(defect)
    return main, dict(parameters)


@lru_cache(maxsize=512)
def _known(value: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """What is taken apart over and over: most parts of most mails say the same of themselves."""
    defects = Defects()
    return *_split(value, defects), defects.found


def _split(value: str, defects: Defects) -> tuple[str, dict[str, str]]:
    main, semicolon, rest = value.partition(";")
    main = main.strip().strip('"').lower()
    if "*" not in rest and "=?" not in rest:  # nothing is continued or encoded
        plain = _PARAMETER.findall(semicolon + rest)
        if len(plain) <= LIMITS.parameters:
            # Of two with one name the first counts.
            return main, {name.lower(): _unquoted(text) for name, text in reversed(plain)}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(semicolon + rest)):
        if count == LIMITS.parameters:
            defects.note(f"more than {LIMITS.parameters} parameters in a header")
            break
        named = _CONTINUED.fullmatch(found[1])
        if named is None:
            continue
        name, number, extended = named[1].lower(), int(named[2] or 0), bool(named[3])
        # A plain value beside an extended one is for old programs (RFC 5987): the extended wins.
        if extended or number not in pieces.get(name, {}):
            pieces.setdefault(name, {})[number] = (_unquoted(found[2]), extended)
    joined = {name: _joined(parts, defects) for name, parts in pieces.items()}
    return main, joined


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        value = value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:]
        return _ESCAPE.sub(r"\1", value)
    return value.strip()


def _joined(parts: dict[int, tuple[str, bool]], defects: Defects) -> str:
    ordered = [parts[number] for number in sorted(parts)]
    if not any(extended for _, extended in ordered):
        return decode_words("".join(text for text, _ in ordered), defects)
    charset, _, rest = ordered[0][0].partition("'")
    _, quote, first = rest.partition("'")
    if not quote:
        charset, first = "", ordered[0][0]
    data = bytearray()
    for number, (text, extended) in enumerate(ordered):
        piece = first if number == 0 else text
        data += unquote_to_bytes(piece) if extended else piece.encode("utf-8", "replace")
    text, defect = decode(bytes(data), charset or None)
    defects.note(defect)
    return text
