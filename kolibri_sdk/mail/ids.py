"""Message-IDs out of Message-ID, In-Reply-To and References (RFC 5322 section 3.6.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["read_ids"]

_ID = re.compile(r"<([^<>]+)>")
_LONGEST = 998  # a line's length; a longer id comes from no mail program


def read_ids(values: Iterable[str]) -> tuple[str, ...]:
    """The ids of all values in order, each once, without angle brackets.

    A value without any brackets gives its words that hold an ``@``; free text around ids, as
    old programs write it into In-Reply-To, is passed over.

    Examples
    --------
    >>> read_ids(["<a@x> <b@y>", "Your mail of Monday <a@x>"]), read_ids(["a@x"])
    (('a@x', 'b@y'), ('a@x',))
    """
    found: dict[str, None] = {}
    for value in values:
        ids = ["".join(inner.split()) for inner in _ID.findall(value)]
        if not ids:
            ids = [word.strip("<>,;") for word in value.split() if "@" in word]
        found.update((one, None) for one in ids if one and len(one) <= _LONGEST)
    return tuple(found)
