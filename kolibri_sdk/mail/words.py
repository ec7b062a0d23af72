"""Header values to text: encoded-words (RFC 2047) and raw 8-bit bytes."""

from __future__ import annotations

import re
from binascii import a2b_qp
from functools import lru_cache

from kolibri_sdk.mail.charset import clean, decode
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.transfer import from_base64

__all__ = ["decode_words", "header_text"]

# Tolerant where RFC 2047 section 2 is strict: blanks inside, no limit of 75 characters.
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*(?:\?(?!=)[^?]*){0,20})\?=")
_BREAKS = re.compile(r"[\r\n]+")
_REMEMBERED = 300  # characters
_FOLD = re.compile(rb"\r?\n(?=[ \t])|[\r\n]+")


def header_text(value: bytes, defects: Defects, charset: str | None = None) -> str:
    """The text of an unstructured header such as Subject.

    Parameters
    ----------
    value : bytes
        As it stands in the mail behind the colon, folded or not.
    defects : Defects
        Takes what is wrong with it.
    charset : str or None
        What raw 8-bit bytes are read as where they are not UTF-8.

    Examples
    --------
    >>> header_text(b"=?utf-8?Q?Gr=C3=BC?= =?utf-8?Q?=C3=9Fe?=", Defects())
    'Grüße'
    """
    return decode_words(raw_text(value, defects, charset), defects).strip()


def raw_text(value: bytes, defects: Defects, charset: str | None = None) -> str:
    """The value unfolded and decoded, its encoded-words left as they are.

    Structured headers are taken apart in this form: a comma inside an encoded-word separates
    nothing (RFC 2047 section 6.2).
    """
    unfolded = _FOLD.sub(b"", value) if b"\n" in value or b"\r" in value else value
    if unfolded.isascii():
        return clean(unfolded.decode("ascii"))
    defects.note("raw 8-bit bytes in a header")
    return decode(unfolded, charset)[0]


def decode_words(text: str, defects: Defects) -> str:
    """Replace the encoded-words of a text by what they say.

    The bytes of neighbours with one charset are joined before they are decoded: programs cut
    multibyte characters in two, against RFC 2047 section 5.
    """
    begin, end = text.find("=?"), text.rfind("?=") + 2
    if begin < 0 or end < begin:
        return text
    # The same words stand in a header and in what is made of it, and in many mails.
    words = text[begin:end]
    decoded, noted = _known(words) if len(words) <= _REMEMBERED else _decode_all(words)
    for defect in noted:
        defects.note(defect)
    return f"{text[:begin]}{decoded}{text[end:]}"


@lru_cache(maxsize=1024)
def _known(text: str) -> tuple[str, tuple[str, ...]]:
    return _decode_all(text)


def _decode_all(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with its encoded-words replaced, and what is wrong with them."""
    defects = Defects()
    out: list[str] = []
    pending = bytearray()
    charset = ""
    position = 0
    for word in _WORD.finditer(text):
        between = text[position : word.start()]
        label = word[1].partition("*")[0]  # RFC 2231 section 5 appends a language
        if between.strip(" \t") or (pending and label.lower() != charset.lower()):
            out.append(_decoded(pending, charset, defects))
            pending.clear()
        if between.strip(" \t") or position == 0:
            out.append(between)
        pending += _payload(word[2], word[3], defects)
        charset, position = label, word.end()
    out += (_decoded(pending, charset, defects), text[position:])
    return "".join(out), defects.found


def _payload(encoding: str, payload: str, defects: Defects) -> bytes:
    data = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return a2b_qp(data.replace(b" ", b"_"), header=True)
    return from_base64(data, defects)


def _decoded(data: bytearray, charset: str, defects: Defects) -> str:
    if not data:
        return ""
    text, defect = decode(bytes(data), charset)
    defects.note(defect)
    # A line break that came through encoding is no fold; it would start a header of its own.
    return _BREAKS.sub(" ", text) if "\n" in text or "\r" in text else text
