"""Where a mailbox's password comes from: the environment or the system's keyring, never a file."""

from __future__ import annotations

import os

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.model.mailbox import Mailbox, Password

__all__ = ["resolve"]


def resolve(password: Password, mailbox: Mailbox, user: str) -> str:
    """The password itself.

    Parameters
    ----------
    password : Password
        The place that the mailbox's file names.
    mailbox : Mailbox
        Whose password it is, for the message when it is missing.
    user : str
        The login name; the keyring files passwords by service and user.

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
        found = _from_keyring(password.keyring, mailbox, user)
        place = f"the keyring entry {password.keyring!r} of {user!r}"
        next_step = f"Store it: keyring set {password.keyring} {user}"
    if not found:
        raise ConfigurationError(f"Mailbox {mailbox.name}: {place} holds no password", next_step)
    return plain(found, f"the password in {place}", mailbox.name)


def _from_keyring(service: str, mailbox: Mailbox, user: str) -> str | None:
    import keyring  # noqa: PLC0415 (looks for its backends when imported: 0.1 s that few need)
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        found: str | None = keyring.get_password(service, user)
    except KeyringError as error:
        raise ConfigurationError(
            f"Mailbox {mailbox.name}: the system's keyring does not open ({error})",
            "Unlock it, or keep the password in an environment variable: password: {env: NAME}",
        ) from error
    return found
