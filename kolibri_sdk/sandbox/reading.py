"""Which fields of a variable some expressions can read, so that no others need to cross."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["fields_read"]

# A name can be written with an escape, and these reach a variable without its name.
_DETOURS = re.compile(r"\\u|\b(?:arguments|eval)\b")


def fields_read(sources: Iterable[str], variable: str) -> frozenset[str] | None:
    """The fields that these expressions can read of a variable; None where it may be any.

    This is no parser, and need not be one: what is not plainly ``variable.field`` or
    ``variable?.field``, in a comment or a text too, counts as any.

    Examples
    --------
    >>> sorted(fields_read(["/vpn/i.test(m.subject)", "m.to.some(p => p.address)"], "m"))
    ['subject', 'to']
    >>> fields_read(["Object.keys(m).length > 3"], "m") is None
    True
    """
    # The look ahead takes no character, so that each occurrence of the name is seen by itself.
    seen = re.compile(
        rf"(?<![\w$]){re.escape(variable)}(?![\w$])(?=(?:\s*\??\.\s*([A-Za-z_$][\w$]*))?)", re.ASCII
    )
    found: set[str] = set()
    for source in sources:
        if _DETOURS.search(source):
            return None
        for occurrence in seen.finditer(source):
            if occurrence[1] is None:
                return None
            found.add(occurrence[1])
    return frozenset(found)
