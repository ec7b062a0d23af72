"""Files and text within ``winmail.dat``, as Outlook sends it ([MS-OXTNEF])."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module

from kolibri_sdk.mail.charset import clean, decode
from kolibri_sdk.mail.defects import Defects
from kolibri_sdk.mail.limits import LIMITS

__all__ = ["Tnef", "TnefFile", "is_tnef", "read_tnef"]

_SIGNATURE = b"\x78\x9f\x3e\x22"
_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_HEADER = struct.Struct("<BII")

# Attributes (section 2.1.3.2)
_BODY, _SUBJECT, _PROPERTIES, _CODEPAGE = 0x2800C, 0x18004, 0x69003, 0x69007
_NEW_FILE, _FILE_TITLE, _FILE_DATA, _FILE_PROPERTIES = 0x69002, 0x18010, 0x6800F, 0x69005

# Properties ([MS-OXPROPS])
_PR_SUBJECT, _PR_BODY, _PR_RTF, _PR_HTML = 0x0037, 0x1000, 0x1009, 0x1013
_PR_DATA, _PR_LONG_NAME, _PR_NAME, _PR_DISPLAY, _PR_MIME, _PR_CID = (
    *(0x3701, 0x3707, 0x3704, 0x3001, 0x370E, 0x3712),
)
_FIXED = {
    0x2: 4,
    0x3: 4,
    0x4: 4,
    0xA: 4,
    0xB: 4,
    0x5: 8,
    0x6: 8,
    0x7: 8,
    0x14: 8,
    0x40: 8,
    0x48: 16,
}
_STRING8, _UNICODE, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0xD
_MULTIPLE = 0x1000
_MOST_PROPERTIES = 2_000  # of one message or file
_LARGEST_RTF = 1_000_000  # bytes; foreign code in Python takes a second for as much


@dataclass(slots=True)
class TnefFile:
    """A file within a ``winmail.dat``."""

    name: str = ""
    content_type: str = ""  #: as the sender named it, which few do
    content: bytes = b""
    content_id: str | None = None
    message: bytes = b""  #: a message as the file: TNEF again


@dataclass(slots=True)
class Tnef:
    """What a ``winmail.dat`` holds."""

    subject: str = ""
    text: str = ""
    html: str = ""
    files: list[TnefFile] = field(default_factory=list)
    complete: bool = False  #: whether it could be read to its end


def is_tnef(content_type: str, name: str, content: bytes) -> bool:
    """Whether a part is a ``winmail.dat``; its name or type alone does not make it one."""
    named = content_type in _TYPES or name.lower() in ("winmail.dat", "win.dat")
    return named and content.startswith(_SIGNATURE)


def read_tnef(content: bytes, defects: Defects, level: int = 0) -> Tnef:
    """The text and the files of a ``winmail.dat``, as far as it can be read.

    Messages within it give their files, and their text as a file of its own.

    Parameters
    ----------
    content : bytes
        The decoded part.
    defects : Defects
        Takes what is wrong with it.
    """
    found = Tnef()
    charset = "cp1252"
    try:
        for level_of, attribute, data in _attributes(content):
            if attribute == _CODEPAGE and len(data) >= 4:
                charset = f"cp{int.from_bytes(data[:4], 'little')}"
            elif attribute == _NEW_FILE:
                found.files.append(TnefFile())
                if len(found.files) > LIMITS.parts:
                    defects.exceed(LIMITS.parts, "parts")
                    break
            elif level_of == 1:
                _take_of_message(found, attribute, data, charset)
            elif found.files:
                _take_of_file(found.files[-1], attribute, data, charset)
        else:
            found.complete = True
    except (struct.error, IndexError, ValueError):
        defects.note("a winmail.dat that is damaged")
        if found.files and not (found.files[-1].content or found.files[-1].message):
            found.files.pop()
    found.files = list(_opened(found.files, defects, level))
    return found


def _attributes(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    position = 6  # signature and key
    while position + _HEADER.size <= len(content):
        level, attribute, size = _HEADER.unpack_from(content, position)
        position += _HEADER.size
        if position + size > len(content):
            raise ValueError("cut off")
        yield level, attribute, content[position : position + size]
        position += size + 2  # checksum


def _take_of_message(found: Tnef, attribute: int, data: bytes, charset: str) -> None:
    if attribute == _SUBJECT:
        found.subject = _text(data, charset)
    elif attribute == _BODY:
        found.text = _text(data, charset)
    elif attribute == _PROPERTIES:
        properties = dict(_properties(data))
        found.subject = _string(properties, _PR_SUBJECT, charset) or found.subject
        found.text = _string(properties, _PR_BODY, charset) or found.text
        found.html = _string(properties, _PR_HTML, charset)
        if not found.text and not found.html:
            found.text = _of_rtf(properties.get(_PR_RTF, (_BINARY, b""))[1])


def _take_of_file(file: TnefFile, attribute: int, data: bytes, charset: str) -> None:
    if attribute == _FILE_TITLE:
        file.name = file.name or _text(data, charset)
    elif attribute == _FILE_DATA:
        file.content = data
    elif attribute == _FILE_PROPERTIES:
        properties = dict(_properties(data))
        for name in (_PR_DISPLAY, _PR_NAME, _PR_LONG_NAME):  # the last that is there counts
            file.name = _string(properties, name, charset) or file.name
        file.content_type = _string(properties, _PR_MIME, charset).lower() or file.content_type
        file.content_id = _string(properties, _PR_CID, charset).strip("<> ") or None
        kind, value = properties.get(_PR_DATA, (0, b""))
        if kind == _BINARY:
            file.content = value
        elif kind == _OBJECT and value[16:20] == _SIGNATURE:  # behind the interface's identifier
            file.message = value[16:]


def _opened(files: list[TnefFile], defects: Defects, level: int) -> Iterator[TnefFile]:
    """The files, those of the messages among them in their place."""
    for file in files:
        if not file.message:
            yield file
            continue
        if level == LIMITS.nested_messages:
            defects.note("messages within each other in a winmail.dat that are not opened")
            continue
        inner = read_tnef(file.message, defects, level + 1)
        name = inner.subject or file.name or "message"
        if inner.text or inner.html:
            kind = "text/plain" if inner.text else "text/html"
            ending = ".txt" if inner.text else ".html"
            yield TnefFile(name[:120] + ending, kind, (inner.text or inner.html).encode("utf-8"))
        yield from inner.files


def _properties(data: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Property by number: its type, and the first of its values (section 2.1.3.4)."""
    (count,) = struct.unpack_from("<I", data)
    position = 4
    for _ in range(min(count, _MOST_PROPERTIES)):
        kind, number = struct.unpack_from("<HH", data, position)
        position += 4
        if number >= 0x8000:
            position = _behind_name(data, position)
        values = 1
        if kind & _MULTIPLE or kind in (_STRING8, _UNICODE, _BINARY, _OBJECT):
            (values,) = struct.unpack_from("<I", data, position)
            position += 4
        kind &= ~_MULTIPLE
        first = b""
        for value in range(values):
            if kind in _FIXED:
                size = _FIXED[kind]
            else:
                (size,) = struct.unpack_from("<I", data, position)
                position += 4
            if position + size > len(data):
                raise ValueError("cut off")
            first = first if value else data[position : position + size]
            position += size + -size % 4
        yield number, (kind, first)


def _behind_name(data: bytes, position: int) -> int:
    """A property with a name has it in front of its value: a GUID, and a number or a text."""
    (is_text, size) = struct.unpack_from("<II", data, position + 16)
    return position + 24 + (size + -size % 4 if is_text else 0)


def _string(properties: dict[int, tuple[int, bytes]], number: int, charset: str) -> str:
    kind, value = properties.get(number, (0, b""))
    return _text(value, "utf-16-le" if kind == _UNICODE else charset) if value else ""


def _text(value: bytes, charset: str) -> str:
    text, _ = decode(value, charset)  # without the NUL at its end
    return text.replace("\r\n", "\n")


def _of_rtf(data: bytes) -> str:
    if not data or len(data) > _LARGEST_RTF:
        return ""
    # Few mails need these two: else every process that reads mail would load them.
    decompress = import_module("compressed_rtf").decompress
    to_text = import_module("striprtf.striprtf").rtf_to_text
    try:
        return clean(str(to_text(decompress(data).decode("cp1252", "replace"))))
    except Exception:  # noqa: BLE001 - foreign code on a stranger's bytes; the files go on
        return ""
