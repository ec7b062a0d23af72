"""A mail's bytes as SMTP wants them (RFC 5321 sections 2.3.8 and 4.5.2)."""

from __future__ import annotations

import re

__all__ = ["END", "is_eight_bit", "on_the_wire"]

END = b".\r\n"  #: ends the mail; sent by itself, after everything else has been handed over

_STRAY_CR = re.compile(rb"\r+(?!\n)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


def on_the_wire(raw: bytes) -> bytes:
    r"""The mail with CRLF line ends, without NUL and bare CR, dots doubled, ended by CRLF.

    A server behind this one may take a bare CR or LF for a line end; then a mail that holds
    ``\n.\n`` could bring along a second one, with a forged sender (SMTP smuggling).

    Examples
    --------
    >>> on_the_wire(b"Subject: a\n\nb\r\n.\rMAIL FROM:<x@y>\n.\n")
    b'Subject: a\r\n\r\nb\r\n..MAIL FROM:<x@y>\r\n..\r\n'
    """
    if _is_tidy(raw):  # as what we compose is; looking is ten times as fast as replacing
        clean = raw.replace(b"\r\n.", b"\r\n..")
        return b"." + clean if clean.startswith(b".") else clean
    clean = _BARE_LF.sub(b"\r\n", _STRAY_CR.sub(b"", raw.replace(b"\0", b"")))
    ended = clean if clean.endswith(b"\r\n") else clean + b"\r\n"
    return _LEADING_DOT.sub(b"..", ended)


def _is_tidy(raw: bytes) -> bool:
    """Whether every CR and LF is of a CRLF, the last one ends the mail, and there is no NUL."""
    ends = raw.count(b"\r\n")
    return (
        raw.endswith(b"\r\n") and raw.count(b"\n") == ends == raw.count(b"\r") and b"\0" not in raw
    )


def is_eight_bit(raw: bytes) -> bool:
    """Whether any byte is beyond ASCII, so that the server must offer 8BITMIME (RFC 6152)."""
    return not raw.isascii()
