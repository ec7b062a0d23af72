"""What a login leaves behind, in the system's keyring: the refresh token, and since when it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.password import from_keyring, into_keyring
from kolibri_sdk.model.mailbox import Mailbox

__all__ = ["SERVICE", "Grant", "read_grant", "write_grant"]

SERVICE = "kolibri-oauth2"  #: the service name of the entries


@dataclass(frozen=True, slots=True)
class Grant:
    """A refresh token, when somebody logged in for it, and when it ends as far as is known."""

    refresh_token: str
    granted_at: datetime
    ends_at: datetime | None


def read_grant(mailbox: Mailbox) -> Grant | None:
    """The grant that the last login left; None before the first.

    Raises
    ------
    ConfigurationError
        When the keyring does not open, or holds something else there.
    """
    text = from_keyring(SERVICE, mailbox, _entry(mailbox))
    if text is None:
        return None
    try:
        found = json.loads(text)
        ends_at = found["ends_at"]
        return Grant(
            found["refresh_token"],
            datetime.fromisoformat(found["granted_at"]),
            datetime.fromisoformat(ends_at) if ends_at else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"Mailbox {mailbox.name}: what the keyring holds as {SERVICE} of {_entry(mailbox)!r} "
            "is not ours",
            f"Run: kolibri mailbox login {mailbox.name}",
        ) from error


def write_grant(mailbox: Mailbox, grant: Grant) -> None:
    """Keep a grant in place of the one before."""
    ends_at = grant.ends_at.isoformat() if grant.ends_at else None
    text = {
        "refresh_token": grant.refresh_token,
        "granted_at": grant.granted_at.isoformat(),
        "ends_at": ends_at,
    }
    into_keyring(SERVICE, mailbox, _entry(mailbox), json.dumps(text))


def _entry(mailbox: Mailbox) -> str:
    """By provider, client and user: two mailboxes of one user share a login."""
    assert mailbox.oauth2 is not None
    return f"{mailbox.oauth2.provider}/{mailbox.oauth2.client_id}/{mailbox.login_name}"
