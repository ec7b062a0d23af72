r"""Change values in a rule's file and leave every other character as it is; save atomically.

A key that changes is written anew, with its own lines only: comments, blank lines and the author's
way of writing the others stay. Where a file is written otherwise than key by key (JSON, flow style)
the library's round trip writes it, which keeps comments and order as well.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import unified_diff
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import LiteralScalarString

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.rulebook.yaml_file import YamlFile, parse_yaml, read_text

__all__ = ["edited", "new_document", "save_file"]

_HEADER = "# yaml-language-server: $schema=../../schema.json\n"
_WIDTH = 4096  # nothing is ever broken into lines
_SHORT = 80
_SIMPLE = re.compile(r"[A-Za-z][\w-]*|-?\d+")


def new_document(values: Mapping[str, Any]) -> str:
    """The text of a file that is not there yet."""
    return _HEADER + "".join(_block(name, value) for name, value in values.items())


def edited(source: YamlFile, changes: Mapping[str, Any]) -> str:
    r"""The text of a file with other values at its top level.

    Parameters
    ----------
    source : YamlFile
        As it was read.
    changes : mapping
        Key → new value; None takes the key out.

    Examples
    --------
    >>> source = parse_yaml("order: 1 # first\nwhen: 'true'\n", "a.yaml")
    >>> edited(source, {"order": 2})
    "order: 2 # first\nwhen: 'true'\n"
    """
    wanted = {k: v for k, v in source.data.items() if k not in changes or changes[k] is not None}
    wanted |= {key: value for key, value in changes.items() if value is not None}
    for write in (_line_by_line, _round_trip):
        text = write(source, changes)
        with suppress(ConfigurationError):
            if text is not None and parse_yaml(text, source.file).data == wanted:
                return text
    raise ConfigurationError(
        f"{source.file} cannot be changed by a program", "Edit it by hand, or write it key by key"
    )


def save_file(path: Path, text: str, read: str | None, file: str) -> None:
    """Put a text in the place of what was read, at once and whole.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        What it is to hold.
    read : str or None
        What it held when it was read; None where there was no file.
    file : str
        How messages name it.

    Raises
    ------
    ConfigurationError
        When it holds something else by now, with the difference.
    """
    found = read_text(path, file) if path.exists() else None
    if found != read:
        raise ConfigurationError(
            f"{file} has changed since it was read; nothing was saved\n{_difference(read, found)}",
            "Read it anew (k.rules.reload()) and do it again",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("xb") as written:
            written.write(text.encode())
            written.flush()
            os.fsync(written.fileno())
        if read is not None:
            new.chmod(stat.S_IMODE(path.stat().st_mode))
        new.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be saved: {error.strerror or error}", "Look at the folder's permissions"
        ) from error
    finally:
        new.unlink(missing_ok=True)


def _difference(read: str | None, found: str | None) -> str:
    lines = unified_diff(
        (read or "").splitlines(), (found or "").splitlines(), "as read", "now", lineterm="", n=1
    )
    return "\n".join(lines)


def _line_by_line(source: YamlFile, changes: Mapping[str, Any]) -> str | None:
    """None where the file is not written key by key, each at the beginning of a line."""
    tops = {str(key): spot for (key, *rest), spot in source.keys.items() if not rest}
    if any(spot.column != 1 for spot in tops.values()) or len(tops) != len(source.data):
        return None
    lines = source.text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    # From the last line to the first, so that the numbers of those above stay true.
    for key, spot in sorted(tops.items(), key=lambda one: -one[1].line):
        if key not in changes:
            continue
        start = spot.line - 1
        end = _end(lines, start, [one.line - 1 for one in tops.values()])
        lines[start:end] = _rewritten(source, key, changes[key], lines[start:end])
    new = [(key, value) for key, value in changes.items() if key not in tops and value is not None]
    for key, value in new:
        place = _place_for(lines, key)
        lines[place:place] = _block(key, value).splitlines(keepends=True)
    return "".join(lines)


def _end(lines: Sequence[str], start: int, starts: Sequence[int]) -> int:
    """The line after a key's own: blank lines and comments before the next key belong to that."""
    end = min((one for one in starts if one > start), default=len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _rewritten(source: YamlFile, key: str, value: Any, lines: Sequence[str]) -> list[str]:
    if value is None:
        return []
    was = source.data[key]
    if len(lines) == 1 and _is_simple(was) and _is_simple(value):
        spot = source.values[(key,)]
        held = source.text[spot.start : spot.end]
        begin = spot.column - 1
        line = lines[0]
        if line[begin : begin + len(held)] == held:
            return [line[:begin] + _simple(value) + line[begin + len(held) :]]
    longer = isinstance(was, list) and isinstance(value, list) and value[: len(was)] == was and was
    dashes = (re.match(r"( *)- ", line) for line in lines[1:])
    if longer and (dash := next(filter(None, dashes), None)):
        more = _block(key, value[len(was) :]).splitlines(keepends=True)[1:]
        return [*lines, *(dash[1] + one.removeprefix("  ") for one in more)]
    return _block(key, value).splitlines(keepends=True)


def _is_simple(value: Any) -> bool:
    return isinstance(value, bool | int) or (
        isinstance(value, str) and _SIMPLE.fullmatch(value) is not None
    )


def _simple(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_ORDER = ("description", "order", "state", "when", "then", "stop", "on_error", "examples")


def _place_for(lines: Sequence[str], key: str) -> int:
    """Before the first key that usually comes later; at the end where there is none."""
    later = _ORDER[_ORDER.index(key) + 1 :] if key in _ORDER else ()
    for place, line in enumerate(lines):
        if line.partition(":")[0] in later:
            above = next((n for n in range(place, 0, -1) if lines[n - 1][:1] != "#"), 0)
            return above if above or not lines[0].startswith(_HEADER) else 1
    return len(lines)


def _block(key: str, value: Any) -> str:
    """A key with its value, as a person would write it."""
    text = StringIO()
    _yaml().dump({key: _readable(value)}, text)
    return text.getvalue()


def _readable(value: Any) -> Any:
    if isinstance(value, str) and "\n" in value.rstrip("\n"):
        return LiteralScalarString(value)
    if isinstance(value, Mapping):
        return {name: _readable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) if isinstance(one, Mapping) else _readable(one) for one in value]
    return value


def _short(value: Mapping[str, Any]) -> Any:
    """A mapping of a few plain values in one line, as people write golden examples."""
    plain = all(isinstance(one, str | bool | int | float) for one in value.values())
    if not plain or sum(len(f"{name}: {one}, ") for name, one in value.items()) > _SHORT:
        return _readable(value)
    line = CommentedMap(value)
    line.fa.set_flow_style()
    return line


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _round_trip(source: YamlFile, changes: Mapping[str, Any]) -> str:
    yaml, text = _yaml(), StringIO()
    document = yaml.load(source.text)
    for key, value in changes.items():
        if value is None:
            document.pop(key, None)
        else:
            document[key] = _readable(value)
    yaml.dump(document, text)
    return text.getvalue()
