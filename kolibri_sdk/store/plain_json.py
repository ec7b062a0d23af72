"""Texts and plain data as a database can hold them."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

__all__ = ["dumps", "loads", "storable", "storable_json"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with U+FFFD for what a database cannot hold: NUL and lone surrogates.

    Examples
    --------
    >>> storable(chr(0) + "a") == chr(0xFFFD) + "a"
    True
    """
    # Nearly every text is fine, and encoding it tells so ten times as fast as searching it.
    if "\x00" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:
    """Plain data, all its texts made storable, however deep they sit."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item) for item in value]
    return value


def dumps(value: Any) -> str:
    r"""The JSON text of plain data, without what a database cannot hold.

    Examples
    --------
    >>> dumps({"a": [1, "ü"]}), dumps(["NUL \x00"]) == '["NUL \ufffd"]'
    ('{"a":[1,"ü"]}', True)
    """
    try:
        text = orjson.dumps(value, option=_PLAIN).decode()
    except TypeError:  # a lone surrogate, a number beyond 64 bits, a key that is no text
        text = ""
    if not text or "\\u0000" in text:
        return json.dumps(storable_json(value), ensure_ascii=False, separators=(",", ":"))
    return text


def loads(text: str | bytes) -> Any:
    """The data of a JSON text; null for the infinite numbers that SQLite's own JSON may hold.

    Examples
    --------
    >>> loads('{"a": Inf, "b": "is -Inf"}')
    {'a': None, 'b': 'is -Inf'}
    """
    try:
        return json.loads(text)
    except ValueError:
        whole = text if isinstance(text, str) else text.decode()
        return json.loads(_INFINITE.sub(lambda found: found[1] or "null", whole))


#: A text, to be kept, or a number that JSON does not know.
_INFINITE = re.compile(r'("(?:[^"\\]|\\.)*")|-?Inf(?:inity)?|NaN')


# What json refuses must be refused here, too, and not be written in some form of its own.
_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
