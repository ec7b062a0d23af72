"""What a token endpoint answers, as a value or as an error of ours (RFC 6749 section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kolibri_sdk import clock
from kolibri_sdk.errors import ConfigurationError, ConnectionFailed, GrantRefused

__all__ = ["Token", "libraries", "reading", "refusal"]

_LIFETIME = 3600  #: seconds, where the endpoint does not say (RFC 6749 recommends that it does)
#: Errors that pass by themselves; every other one needs a person.
_PASSING = {"temporarily_unavailable", "server_error", "slow_down", "authorization_pending"}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the refresh token that came with it if one did.

    ``refresh_ends_at`` is None where the endpoint does not say that the refresh token ends.
    """

    access: str
    issued_at: datetime
    ends_at: datetime
    refresh: str | None = None
    refresh_ends_at: datetime | None = None

    @classmethod
    def of(cls, mailbox: str, answer: Mapping[str, Any]) -> Token:
        """The token in an endpoint's answer.

        Raises
        ------
        GrantRefused
            When the answer is an error that does not pass by itself.
        ConnectionFailed
            When it passes, or the answer makes no sense.
        """
        now = clock.now()
        if "error" in answer:
            raise refusal(mailbox, str(answer["error"]), str(answer.get("error_description", "")))
        if not isinstance(answer.get("access_token"), str):
            raise ConnectionFailed(
                mailbox,
                "OAuth2: the token endpoint's answer holds no token",
                "Is it the right one?",
            )
        # Microsoft and Google say the first, Keycloak the second, with 0 for "never".
        rest = answer.get("refresh_token_expires_in") or answer.get("refresh_expires_in")
        return cls(
            answer["access_token"],
            now,
            now + timedelta(seconds=int(answer.get("expires_in") or _LIFETIME)),
            answer.get("refresh_token"),
            now + timedelta(seconds=int(rest)) if rest else None,
        )


def refusal(mailbox: str, code: str, words: str) -> GrantRefused | ConnectionFailed:
    """The error for a code of RFC 6749 section 5.2, with what the provider said."""
    said = " ".join(f"{code}: {words}".split())[:300].rstrip(": ")
    if code in _PASSING:
        return ConnectionFailed(
            mailbox,
            f"OAuth2: the provider cannot renew the token now ({said})",
            "It is tried again.",
        )
    return GrantRefused(
        mailbox,
        f"OAuth2: the provider refuses the grant ({said})",
        f"Run: kolibri mailbox login {mailbox}; or correct client_id and secret.",
    )


@contextmanager
def reading(mailbox: str, doing: str) -> Iterator[None]:
    """What the libraries raise here, as an error that says where and what."""
    from msal.exceptions import MsalError  # noqa: PLC0415 (in the extra, and heavy)

    try:
        yield
    except (OSError, ValueError, MsalError) as error:  # requests raises OSError
        raise ConnectionFailed(
            mailbox,
            f"OAuth2: {doing} failed ({' '.join(str(error).split())[:300]})",
            "Check the address of the token endpoint, its certificate (ca:) and the network.",
        ) from error


@contextmanager
def libraries(mailbox: str) -> Iterator[None]:
    """Say which extra is missing where one of its libraries cannot be imported."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"Mailbox {mailbox}: oauth2 needs {error.name}, which is not installed",
            "Run: pip install 'kolibri-sdk[oauth]'",
        ) from error
