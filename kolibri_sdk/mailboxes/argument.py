"""Nothing that could end a command of IMAP, POP3 or SMTP early gets into one."""

from __future__ import annotations

import re

from kolibri_sdk.errors import ConfigurationError

__all__ = ["plain"]

_ENDS_A_COMMAND = re.compile(r"[\r\n\0]")


def plain(value: str, what: str, mailbox: str) -> str:
    r"""The value, if it holds no CR, LF or NUL; with one of them it could smuggle in a command.

    Raises
    ------
    ConfigurationError
        When it does.

    Examples
    --------
    >>> plain("INBOX", "the folder name", "support")
    'INBOX'
    >>> plain("INBOX\r\nA1 DELETE INBOX", "the folder name", "support")
    Traceback (most recent call last):
    kolibri_sdk.errors.ConfigurationError: Mailbox support: the folder name holds a line break ...
    """
    if _ENDS_A_COMMAND.search(value):
        raise ConfigurationError(
            f"Mailbox {mailbox}: {what} holds a line break or a NUL character", "Remove it."
        )
    return value
