"""Where a mailbox's password comes from: the environment or the system's keyring, never a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.secret import Password

__all__ = ["from_keyring", "into_keyring", "resolve"]


def resolve(password: Password, mailbox: Mailbox, user: str, *, lines: bool = False) -> str:
    """The password itself.

    Parameters
    ----------
    password : Password
        The place that the mailbox's file names.
    mailbox : Mailbox
        Whose password it is, for the message when it is missing.
    user : str
        The login name; the keyring files passwords by service and user.
    lines : bool
        Whether it may have several lines: it gets into no command.

    Raises
    ------
    ConfigurationError
        When there is none; the message says how to put one there.
    """
    if password.env is not None:
        found, next_step = os.environ.get(password.env), f"Set it: export {password.env}='...'"
        place = f"the environment variable {password.env}"
    else:
        assert password.keyring is not None
        found = from_keyring(password.keyring, mailbox, user)
        place = f"the keyring entry {password.keyring!r} of {user!r}"
        next_step = f"Store it: keyring set {password.keyring} {user}"
    if not found:
        raise ConfigurationError(f"Mailbox {mailbox.name}: {place} holds no password", next_step)
    return found if lines else plain(found, f"the password in {place}", mailbox.name)


def from_keyring(service: str, mailbox: Mailbox, user: str) -> str | None:
    """The entry of the system's keyring; None where there is none.

    Raises
    ------
    ConfigurationError
        When the keyring does not open.
    """
    import keyring  # noqa: PLC0415 (looks for its backends when imported: 0.1 s that few need)

    with _opened(mailbox):
        found: str | None = keyring.get_password(service, user)
    return found


def into_keyring(service: str, mailbox: Mailbox, user: str, secret: str) -> None:
    """Make an entry in the system's keyring, in place of the one before."""
    import keyring  # noqa: PLC0415

    with _opened(mailbox):
        keyring.set_password(service, user, secret)


@contextmanager
def _opened(mailbox: Mailbox) -> Iterator[None]:
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        yield
    except (KeyringError, RuntimeError) as error:  # without any backend it is a RuntimeError
        raise ConfigurationError(
            f"Mailbox {mailbox.name}: the system's keyring does not open ({error})",
            "Unlock it, or keep a password in an environment variable: password: {env: NAME}; "
            "docs/mailboxes.md tells how to have a keyring on a server.",
        ) from error
