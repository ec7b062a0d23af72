"""What the folders and members of archives are called."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from zipfile import ZipInfo

__all__ = ["folder_name", "leads_outside", "zip_member_name"]

_UTF8 = 0x800  #: the flag of a zip member whose name is UTF-8
_SHIFTED = re.compile(r"&([^-]*)-")
_MAILDIR = {"cur", "new"}
_SUFFIXES = {".mbox", ".mbx", ".gz", ".bz2", ".xz", ".txt"}


def folder_name(path: str, *, of_file: bool) -> str:
    """The folder that a file of an archive belongs to.

    Parameters
    ----------
    path : str
        The file's place within the archive.
    of_file : bool
        Whether the file is a folder by itself, as an mbox is; else it is one mail of its folder.

    Examples
    --------
    >>> folder_name(".Entw&APw-rfe.2024/cur/17.M1:2,S", of_file=False)  # Maildir++
    'Entwürfe/2024'
    >>> folder_name("cur/17.M1:2,S", of_file=False)
    'INBOX'
    >>> folder_name("Archives.sbd/2024.mbox.gz", of_file=True)  # Thunderbird
    'Archives/2024'
    """
    *above, last = PurePosixPath(path).parts or ("",)
    if of_file:
        while (suffix := PurePosixPath(last).suffix) in _SUFFIXES:
            last = last.removesuffix(suffix)
        above.append(last)
    elif above and above[-1] in _MAILDIR:
        above.pop()
        if not above:
            return "INBOX"
    return "/".join(_plain(part) for part in above)


def _plain(part: str) -> str:
    if part.startswith(".") and len(part) > 1:  # Maildir++: .Archive.2024, in modified UTF-7
        return "/".join(_decoded(piece) for piece in part[1:].split("."))
    return part.removesuffix(".sbd").removesuffix(".mbox")


def _decoded(text: str) -> str:
    """Modified UTF-7 (RFC 3501 section 5.1.3)."""
    try:
        return _SHIFTED.sub(
            lambda m: f"+{m[1].replace(',', '/')}-".encode().decode("utf-7") if m[1] else "&", text
        )
    except UnicodeError:
        return text


def zip_member_name(member: ZipInfo) -> str:
    """The name of a zip's member, in the characters that its maker meant.

    Where the member does not say, it is UTF-8 if it can be (Unix, macOS), else the code page of
    old Windows and DOS.
    """
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def leads_outside(name: str) -> bool:
    r"""Whether a member's name points out of the archive, as no honest archiver writes it.

    Examples
    --------
    >>> [leads_outside(n) for n in ("a/b.eml", "../b.eml", "/etc/passwd", "C:\\b.eml")]
    [False, True, True, True]
    """
    plain = name.replace("\\", "/")
    return (
        plain.startswith("/")
        or ".." in plain.split("/")
        or re.match("[A-Za-z]:", plain) is not None
    )
