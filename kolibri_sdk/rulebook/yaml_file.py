"""One YAML file as plain data that remembers where each value stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.rulebook.scalar import position_in_source

__all__ = ["Place", "YamlFile", "YamlPath", "parse_yaml", "read_text", "read_yaml"]

YamlPath = tuple[str | int, ...]
Place = tuple[int | None, int | None]  #: line and column, counted from 1

MAX_BYTES = 128 * 1024
MAX_VALUES = 10_000  # aliases multiply: nine lines of them can mean a thousand million values
MAX_DEPTH = 32

_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + name for name in ("str", "null", "bool", "int", "float", "timestamp")}


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a scalar or a collection stands: its place, and its characters in the text."""

    line: int
    column: int
    start: int
    end: int
    style: str | None

    @classmethod
    def of(cls, node: Any) -> _Spot:
        start, end = node.start_mark, node.end_mark
        style = node.style if isinstance(node, ScalarNode) else None
        return cls(start.line + 1, start.column + 1, start.index, end.index, style)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A YAML file: its values as plain data, and the place of each one.

    Parameters
    ----------
    file : str
        The path as problems tell it.
    text : str
        What was read.
    data : Any
        Mappings, lists, text, numbers, true, false, None and dates; nothing else.
    """

    file: str
    text: str = field(repr=False)
    data: Any
    values: Mapping[YamlPath, _Spot] = field(repr=False)
    keys: Mapping[YamlPath, _Spot] = field(repr=False)

    def locate(self, path: Sequence[str | int]) -> YamlPath:
        """The longest path in this file that follows these steps, leaving out unknown ones.

        Validation errors step through names of alternatives (``inbound.imap.port``) and through
        lists that the author left out (``to.0.field`` for ``to: {field: caller}``).

        Examples
        --------
        >>> parse_yaml("to: {field: caller}", "a.yaml").locate(["to", 0, "field"])
        ('to', 'field')
        """
        found: YamlPath = ()
        for step in path:
            if (*found, step) in self.values:
                found = (*found, step)
        return found

    def place(self, path: Sequence[str | int]) -> Place:
        """Line and column of the key, or of the list's entry, that comes nearest to this path."""
        found = self.locate(path)
        spot = self.keys.get(found) or self.values.get(found)
        return (spot.line, spot.column) if spot else (None, None)

    def inside(self, path: Sequence[str | int], line: int | None, column: int | None) -> Place:
        r"""The place in the file of a place inside the text at this path.

        Examples
        --------
        >>> parse_yaml("when: |\n  a &&\n  b.\n", "a.yaml").inside(["when"], 2, 2)
        (3, 4)
        """
        found = self.locate(path)
        spot = self.values.get(found)
        value = _value_at(self.data, found)
        if spot is None or line is None or not isinstance(value, str):
            return self.place(path)
        source = self.text[spot.start : spot.end]
        index = spot.start + position_in_source(source, spot.style, value, line, column or 1)
        start_of_line = self.text.rfind("\n", 0, index) + 1
        return self.text.count("\n", 0, index) + 1, (index - start_of_line + 1 if column else None)


def read_yaml(path: Path, file: str) -> YamlFile:
    """Read one YAML 1.2 file; safe: no tags, no objects, no duplicate keys, no alias bombs.

    Parameters
    ----------
    path : Path
        Where it lies.
    file : str
        How problems name it.

    Raises
    ------
    ConfigurationError
        With one problem that has file, line and mend, whatever is wrong with the file.
    """
    return parse_yaml(read_text(path, file), file)


def read_text(path: Path, file: str, *, limit: int = MAX_BYTES) -> str:
    """Read a small UTF-8 text file, or raise a ConfigurationError with the problem."""
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "is not a regular file"
            raise _refusal(file, kind, "put a text file in its place")
        if path.stat().st_size > limit:
            raise _refusal(file, f"is larger than {limit // 1024} KiB", "split it")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _refusal(file, f"cannot be read: {reason}", "look at its permissions") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(file, "is not UTF-8", "save it with the encoding UTF-8", line) from error


def parse_yaml(text: str, file: str) -> YamlFile:
    """Parse YAML 1.2 text; the counterpart of :func:`read_yaml` for text that is no file yet."""
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except RecursionError as error:
        raise _refusal(file, "is nested too deeply", "make it flatter") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refusal(file, "holds a control character", "remove it", line) from error
    except YAMLError as error:
        raise _syntax_refusal(file, error) from error
    except Exception as error:  # the library lets others through too (an escape beyond Unicode)
        raise _refusal(file, f"is not YAML: {error}", "write it as in the examples") from error
    if node is None:
        raise _refusal(file, "is empty", "write the document, or delete the file", 1)
    builder = _Builder(file, yaml)
    try:
        data = builder.build(node, (), 0)
    except (YAMLError, ValueError, OverflowError) as error:
        raise _refusal(file, f"holds a value that cannot be read: {error}", "correct it") from error
    return YamlFile(file, text, data, builder.values, builder.keys)


class _Builder:
    """Turns YAML nodes into plain data, noting where each one stands."""

    def __init__(self, file: str, yaml: YAML) -> None:
        self.file = file
        self.yaml = yaml
        self.values: dict[YamlPath, _Spot] = {}
        self.keys: dict[YamlPath, _Spot] = {}

    def build(self, node: Any, path: YamlPath, depth: int) -> Any:
        self.values[path] = _Spot.of(node)
        if depth > MAX_DEPTH or len(self.values) > MAX_VALUES:
            raise self._refuse(
                node, "is nested or repeated too much", "write less, without aliases"
            )
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return {
                name: self.build(value, (*path, name), depth + 1)
                for name, value in self._pairs(node, path)
            }
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(each, (*path, i), depth + 1) for i, each in enumerate(node.value)]
        if isinstance(node, ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node)
        raise self._refuse(
            node, f"holds the tag {_short(node.tag)}", "write the value without a tag"
        )

    def _pairs(self, node: Any, path: YamlPath) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = key.value if key.tag == _TAG + "str" else None
            if not isinstance(name, str):
                raise self._refuse(key, "has a key that is not plain text", "put it in quotes")
            if name in seen:
                what = f"has the key '{name}' twice, first in line {seen[name]}"
                raise self._refuse(key, what, "keep one of them")
            seen[name] = key.start_mark.line + 1
            self.keys[(*path, name)] = _Spot.of(key)
            yield name, value

    def _scalar(self, node: Any) -> Any:
        try:
            value = self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError, OverflowError) as error:
            what = "holds a value that cannot be read"
            raise self._refuse(node, what, "put it in quotes if it is text") from error
        if isinstance(value, str) and not value.isascii() and _lone_surrogate(value):
            raise self._refuse(node, "holds half a character", "write the character itself")
        return value

    def _refuse(self, node: Any, what: str, mend: str) -> ConfigurationError:
        mark = node.start_mark
        return _refusal(self.file, what, mend, mark.line + 1, mark.column + 1)


def _refusal(
    file: str, what: str, mend: str, line: int | None = None, column: int | None = None
) -> ConfigurationError:
    problem = Problem(file, f"the file {what}", mend, line, column)
    return ConfigurationError(f"{file} cannot be used", problems=[problem])


def _syntax_refusal(file: str, error: YAMLError) -> ConfigurationError:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    said = ", ".join(" ".join(str(part).split()) for part in parts if part)
    mend = "look at indentation, colons and quotes here and in the line above"
    if "'\\t'" in said:
        mend = "indent with spaces, not with tabs"
    elif "another document" in said:
        mend = "keep one document per file: delete the line '---' and what follows"
    elif "mapping values are not allowed" in said:
        mend = "put the text in quotes: it holds a colon followed by a space"
    place = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return _refusal(file, f"is not YAML: {said or error}", mend, *place)


def _short(tag: object) -> str:
    return str(tag).replace(_TAG, "!!")


def _lone_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def _value_at(data: Any, path: YamlPath) -> Any:
    for step in path:
        data = data[step]
    return data
