"""Bytes to text under a charset label that may be missing, wrong or unknown."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from functools import lru_cache

__all__ = ["clean", "decode"]

# Labels as browsers read them (WHATWG Encoding Standard, section 4.2): the superset that mail
# programs mean when they write the subset's name.
_SUPERSETS = {
    "ascii": "utf-8",
    "us-ascii": "utf-8",
    "utf8": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "x-utf-8": "utf-8",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "iso88591": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "x-ansi": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-unknown": "utf-8",
    "unknown-8bit": "utf-8",
    "default_charset": "utf-8",
}
# Text codecs of Python that are no charsets; idna is quadratic on top.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
_LABEL = re.compile(r"[A-Za-z0-9_.:+-]{1,40}")
# A label with a name that is known somewhere in it: "charset=utf-8", "iso-gb2312", "utf-8;".
_WITHIN = re.compile(
    r"utf-?8|iso-2022-jp|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gb2312|gb18030|gbk|big5|euc-kr"
    r"|euc-jp|shift_jis|us-ascii"
)
_WINDOWS_NUMBER = re.compile(r"(?:x-)?(?:windows|cp|ibm)[-_]?(\d{3,4})")
_ASCII = re.compile(r"[\x00-\x7f]+")
_FEW = 4  # characters
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    r"""The text without NUL and without lone surrogates, which no database column takes.

    Examples
    --------
    >>> clean("a\x00b")
    'ab'
    """
    if "\x00" in text:
        text = text.replace("\x00", "")
    if not text.isascii() and _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def decode(data: bytes, label: str | None = None) -> tuple[str, str | None]:
    r"""Decode bytes, whatever their label says.

    Parameters
    ----------
    data : bytes
        The text as it came.
    label : str or None
        The charset it claims to be in.

    Returns
    -------
    text : str
        Without NUL and lone surrogates.
    defect : str or None
        What was wrong with the label, in words.

    Examples
    --------
    >>> decode(b"5 \x80", "iso-8859-1")
    ('5 €', None)
    >>> decode("Grüße".encode("cp1252"), "utf-8")
    ('Grüße', 'text is not in the declared charset utf-8; read as windows-1252')
    """
    name, defect = _resolve(label)
    if name in ("utf-8", "cp1252") and data.isascii():
        return clean(data.decode("ascii")), defect
    if name in ("utf-8", "cp1252"):
        return _utf8_or_windows(data, name, label, defect)
    try:
        return clean(data.decode(name)), defect
    except (UnicodeError, ValueError):
        if name.startswith("iso2022_jp") and (text := _iso_2022_jp(data)):
            return clean(text), defect
        return _misnamed(data, name, label)


def _resolve(label: str | None) -> tuple[str, str | None]:
    """The Python codec for a label, and a defect where there is none."""
    if not label:
        return "utf-8", None
    label = label.strip(" \t\"'").lower()
    name, defect = _codec(label)
    if defect and (within := _WITHIN.search(label)):
        return _codec(within[0])[0], defect
    return name, defect


@lru_cache(maxsize=256)
def _codec(label: str) -> tuple[str, str | None]:
    name = _SUPERSETS.get(label)
    if name is None and (found := _WINDOWS_NUMBER.fullmatch(label)):
        name = f"cp{found[1]}"
    if name is None:
        name = label if _LABEL.fullmatch(label) else ""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return "utf-8", f"unknown charset {clean(label)[:40]!r}"
    # "Not a text encoding" is known to bytes.decode alone; an empty decode asks it.
    try:
        b"".decode(name)
    except (LookupError, UnicodeError):
        return "utf-8", f"unknown charset {label[:40]!r}"
    if codec.name in _NO_CHARSETS or codec.name.replace("_", "-") in _NO_CHARSETS:
        return "utf-8", f"unknown charset {label[:40]!r}"
    return name, None


def _utf8_or_windows(
    data: bytes, name: str, label: str | None, defect: str | None
) -> tuple[str, str | None]:
    # Text in windows-1252 is practically never valid UTF-8 by accident, so UTF-8 goes first.
    try:
        text, actual = data.decode("utf-8").removeprefix("\ufeff"), "utf-8"
    except UnicodeDecodeError:
        if (repaired := _damaged_utf8(data)) is not None:
            return repaired, "text is damaged utf-8; what could not be read is replaced"
        text, actual = _windows_1252(data), "cp1252"
    if label and actual != name and defect is None:
        spoken = "windows-1252" if actual == "cp1252" else actual
        defect = f"text is not in the declared charset {label[:40]}; read as {spoken}"
    return text.replace(
        "\x00", ""
    ) if "\x00" in text else text, defect  # surrogates come out of neither charset


def _damaged_utf8(data: bytes) -> str | None:
    """The text of UTF-8 with some bytes lost or wrong in it; None where it is something else."""
    text = data.decode("utf-8-sig", "replace")
    broken = text.count("\ufffd")
    whole = sum(not part.isascii() and len(part) for part in _ASCII.split(text)) - broken
    return clean(text) if whole > 2 * broken else None


# What text is in that has the label of another charset of its language, most often one of 7 bits.
_INSTEAD = {
    "iso2022_jp_ext": ("euc_jp", "cp932"),
    "euc_jp": ("cp932",),
    "cp932": ("euc_jp",),
    "iso2022_kr": ("cp949",),
    "hz": ("gb18030",),
    "utf-7": ("cp1252",),
}


def _misnamed(data: bytes, name: str, label: str | None) -> tuple[str, str]:
    text = None
    for actual in ("utf-8", *_INSTEAD.get(codecs.lookup(name).name, ())):
        with suppress(UnicodeDecodeError):
            text = data.decode(actual)
            # A stray byte or two fit into many charsets; a few words do not.
            if actual in ("utf-8", "cp1252") or len(_ASCII.sub("", text)) >= _FEW:
                break
    else:
        text, actual = data.decode(name, "replace"), f"{label}, with replacements"
    return clean(text), f"text is not in the declared charset {label}; read as {actual}"


_ESCAPED = re.compile(rb"\x1b(\([BJI]|\$[@B]|\$\(D)([^\x1b]*)")


def _iso_2022_jp(data: bytes) -> str:
    """ISO-2022-JP with the characters of NEC and IBM in it, which Windows writes (CP50220)."""
    first = data.find(b"\x1b")
    if first < 0:
        return ""
    text = [data[:first].decode("ascii", "replace")]
    for found in _ESCAPED.finditer(data, first):
        mode, run = found[1], found[2]
        if mode in (b"$@", b"$B"):  # two characters of 7 bits each; JIS as EUC, EUC as Shift_JIS
            text.append(_of_jis(run))
        elif mode == b"$(D":
            euc = b"".join(
                b"\x8f" + bytes(c | 0x80 for c in run[i : i + 2]) for i in range(0, len(run), 2)
            )
            text.append(euc.decode("euc_jp", "replace"))
        elif mode == b"(I":
            text.append(bytes(c | 0x80 for c in run).decode("cp932", "replace"))
        else:
            text.append(run.decode("ascii", "replace"))
    return "".join(text)


_JIS_PAIRS = re.compile(rb"((?:[!-~]{2})+)|.", re.DOTALL)


def _of_jis(run: bytes) -> str:
    """Pairs of characters; what stands alone among them is a line break, or damage."""
    text = []
    for found in _JIS_PAIRS.finditer(run):
        if found[1]:
            text.append(_shifted(found[1]).decode("cp932", "replace"))
        else:
            text.append(found[0].decode("ascii", "replace"))
    return "".join(text)


def _shifted(pairs: bytes) -> bytes:
    shifted = bytearray()
    for row, cell in zip(pairs[::2], pairs[1::2], strict=True):
        shifted.append((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0))
        shifted.append(cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E)
    return bytes(shifted)


def _windows_1252(data: bytes) -> str:
    """Like a browser, which gives the five unassigned bytes their Latin-1 meaning."""
    return data.decode("cp1252", "kolibri.latin1")


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return chr(error.object[error.start]), error.start + 1


codecs.register_error("kolibri.latin1", _as_latin1)
