"""Files within a text: uuencode, as programs sent attachments before MIME."""

from __future__ import annotations

import re
from itertools import islice

from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.transfer import from_uuencode

__all__ = ["take_out_files"]

# Between "begin" and "end": lines whose first character tells their length, then one of length 0.
_FILE = re.compile(
    rb"^begin [0-7]{3,4} (?P<name>[^\r\n]{1,255})\r?\n"
    rb"(?P<lines>(?:[!-M][ -`]{1,84}\r?\n)+)"
    rb"(?:[` ]?[ \t]*\r?\n)?end[ \t]*(?:\r?\n|\Z)",
    re.M,
)


def take_out_files(
    text: bytes, defects: Defects, most: int
) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The text without the uuencoded files in it, and these files.

    Parameters
    ----------
    text : bytes
        A plain text part.
    defects : Defects
        Takes what is wrong with the encoding.
    most : int
        How many files to take out; further ones stay in the text.

    Returns
    -------
    text : bytes
    files : list of (str, bytes)
        Names as the sender gave them, and contents. A "begin" without its "end" is no file, and
        stays in the text.
    """
    if b"\nend" not in text or b"begin " not in text:
        return text, []
    files: list[tuple[str, bytes]] = []
    kept: list[bytes] = []
    position = 0
    for found in islice(_FILE.finditer(text), most):
        name = found["name"].decode("utf-8", "replace").strip()
        files.append((name, from_uuencode(found[0], defects)))
        kept.append(text[position : found.start()])
        position = found.end()
    kept.append(text[position:])
    return b"".join(kept), files
