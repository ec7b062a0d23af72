"""Where a place inside a YAML scalar's text stands in the file's own characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["position_in_source"]

_ESCAPE = re.compile(r"\\(?:x..|u.{4}|U.{8}|\r?\n|.)|.", re.DOTALL)
_BLANK_ESCAPES = " \t\r\nntrvfNLP_"


def position_in_source(source: str, style: str | None, value: str, line: int, column: int) -> int:
    r"""The index in ``source`` of a place in ``value``.

    White space is what YAML changes when it folds lines and cuts indentation; the visible
    characters stay. So the visible characters before the place are counted, whatever the style.

    Parameters
    ----------
    source : str
        The scalar as it stands in the file, with quotes or the block's header.
    style : str or None
        ``|``, ``>``, ``"``, ``'``, or None for a plain scalar.
    value : str
        The text that YAML makes of it.
    line, column : int
        The place in ``value``, counted from 1; past its end counts as its end.

    Examples
    --------
    >>> source = "|\n    a &&\n    b\n"
    >>> source[position_in_source(source, "|", "a &&\nb\n", 2, 1)]
    'b'
    """
    wanted = _visible(value[: _offset(value, line, column)])
    last = -1
    for number, position in enumerate(_visible_positions(source, style)):
        if number == wanted:
            return position
        last = position
    return last + 1


def _offset(value: str, line: int, column: int) -> int:
    lines = value.split("\n")
    before = sum(len(each) + 1 for each in lines[: line - 1])
    return min(before + column - 1, len(value))


def _visible(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _visible_positions(source: str, style: str | None) -> Iterator[int]:
    return (index for index, character in _units(source, style) if not character.isspace())


def _units(source: str, style: str | None) -> Iterable[tuple[int, str]]:
    """The scalar's characters with their index in the source, past quotes and header."""
    if style in ("|", ">"):
        header = source.find("\n") + 1
        return enumerate(source[header:], start=header)
    if style == '"':
        found = _ESCAPE.finditer(source, 1, max(len(source) - 1, 1))
        return ((match.start(), _meaning(match.group())) for match in found)
    if style == "'":
        quoted = re.finditer("''|.", source[1:-1], re.DOTALL)
        return ((match.start() + 1, match.group()[0]) for match in quoted)
    return enumerate(source)


def _meaning(unit: str) -> str:
    """A character that is blank where this piece of a double-quoted scalar means a blank."""
    if len(unit) == 1:
        return unit
    return " " if unit[1] in _BLANK_ESCAPES else "x"
