"""Header lines of outgoing mail: folded, encoded, and never two where one was meant.

The standard library writes a header of its own where a decoded line break is set again
(CVE-2024-6923); here a line break cannot get as far as the line.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable

from kolibri_sdk.errors import PermanentSendError
from kolibri_sdk.model.message import Address

__all__ = ["address_list", "header", "id_list", "one_line", "unstructured"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NAME = re.compile(r"[!-9;-~]{1,76}")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
# Local parts that need no quotes (RFC 5322 section 3.2.3), and names of hosts.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}|"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@\[[0-9A-Za-z:.]+\]"
)
_UNICODE_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f-\xa0<>()\[\]:;@\\,\"]{1,64}@[^\s<>@,;]{1,255}")
# No encoded-word either: who decodes one writes what it holds (CVE-2024-6923).
_ID = re.compile(r"(?!.*=\?)[!-;=?-~]{1,900}")
_WORD_BYTES = 42  # of UTF-8 in one encoded-word: 75 characters at most (RFC 2047 section 2)
_LINE = 76
_LONGEST_TOKEN = 200


def one_line(text: str) -> str:
    r"""The text with runs of control characters, line breaks among them, as one blank.

    Examples
    --------
    >>> one_line("VPN\r\nBcc: x@y")
    'VPN Bcc: x@y'
    """
    return _CONTROL.sub(" ", text).strip()


def header(name: str, value: str) -> str:
    """A header from a value that is folded already.

    Raises
    ------
    ValueError
        When the name is no header name (RFC 5322 section 2.2).
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no header name; use letters, digits and hyphens")
    return f"{name}: {value}\r\n"


def unstructured(name: str, text: str) -> str:
    r"""A header with free text, encoded where it needs to be (RFC 2047).

    Examples
    --------
    >>> unstructured("Subject", "Größe")
    'Subject: =?utf-8?b?R3LDtsOfZQ==?=\r\n'
    """
    text = one_line(text)
    tokens = re.split(r"(?= )", text)
    plain = text.isascii() and "=?" not in text and "  " not in text
    if not plain or max(map(len, tokens)) > _LONGEST_TOKEN:
        return header(name, "\r\n ".join(_encoded_words(text)))
    return header(name, _folded(tokens, len(name) + 2))


def address_list(name: str, addresses: Iterable[Address]) -> str:
    """A header with addresses, one on a line.

    A recipient whose local part is beyond ASCII stands there as a group that tells it.

    Raises
    ------
    PermanentSendError
        When an address cannot stand in a header as it is.
    """
    told = _recipient if name in ("To", "Cc") else _mailbox
    return header(name, ",\r\n ".join(told(address) for address in addresses))


def id_list(name: str, ids: Iterable[str]) -> str:
    """A header with Message-IDs, one on a line; what cannot be one is left out.

    A list without a valid id gives no header.
    """
    valid = [f"<{one}>" for one in ids if _ID.fullmatch(one)]
    return header(name, "\r\n ".join(valid)) if valid else ""


def _recipient(address: Address) -> str:
    ascii_local = address.address.rpartition("@")[0].isascii()
    return _mailbox(address) if ascii_local else _downgraded(address)


def _mailbox(address: Address) -> str:
    place = _checked(address.address)
    name = one_line(address.name)
    if not name:
        return place
    if not name.isascii() or "=?" in name or len(name) > _LONGEST_TOKEN:
        return "\r\n ".join([*_encoded_words(name), f"<{place}>"])
    if _ATOM.fullmatch(name):
        return f"{name} <{place}>"
    quoted = re.sub(r'(["\\])', r"\\\1", name)
    return f'"{quoted}" <{place}>'


def _downgraded(address: Address) -> str:
    """An address beyond ASCII as a group without members that tells it (RFC 6857 section 3.1.8).

    So the mail stays one that every server takes; who it goes to is the envelope's business.
    """
    if not _UNICODE_ADDRESS.fullmatch(address.address):
        raise _unfit(address.address)
    told = Address(address.address, one_line(address.name))
    return "\r\n ".join([*_encoded_words(str(told)), ":;"])


def _unfit(address: str) -> PermanentSendError:
    return PermanentSendError(
        f"{one_line(address)[:100]!r} cannot stand as an address in a mail", "Correct the address"
    )


def _checked(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            domain = ""
    if not _ADDRESS.fullmatch(f"{local}{at}{domain}"):
        raise _unfit(address)
    return f"{local}@{domain}"


def _encoded_words(text: str) -> list[str]:
    words, chunk = [], b""
    for char in text:
        data = char.encode()
        if len(chunk) + len(data) > _WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += data
    return [f"=?utf-8?b?{b64encode(word).decode()}?=" for word in (*words, chunk)]


def _folded(tokens: list[str], column: int) -> str:
    out: list[str] = []
    for token in tokens:
        if column + len(token) > _LINE and out:
            out.append("\r\n")
            column = 0
        out.append(token)
        column += len(token)
    return "".join(out)
