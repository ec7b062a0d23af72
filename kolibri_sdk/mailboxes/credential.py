"""What a mailbox logs in with: a password, or access tokens that end and are renewed."""

from __future__ import annotations

from collections.abc import Callable

from kolibri_sdk.errors import LoginRefused
from kolibri_sdk.mailboxes.endpoint import Endpoint
from kolibri_sdk.mailboxes.oauth2 import AccessTokens, Bearer

__all__ = ["Credential", "sign_in"]

Credential = str | AccessTokens


def sign_in(
    endpoint: Endpoint,
    tokens: AccessTokens,
    offered: list[str],
    attempt: Callable[[Bearer], object],
) -> None:
    """Log in with an access token; where the server refuses it, once more with a new one.

    A token may have been revoked before its time. More than two tries would be a storm.

    Parameters
    ----------
    offered : list of str
        The server's SASL mechanisms.
    attempt : callable
        Says it to the server; raises what the protocol's library raises when refused.

    Raises
    ------
    LoginRefused
        When the server does not accept a fresh token either.
    """
    mend = (
        "The provider gave the token, so the login stands: see that the mailbox allows this "
        f"protocol, that the user name is right, and that the app may use it; or run: kolibri "
        f"mailbox login {endpoint.mailbox}"
    )
    while True:
        token = tokens.bearer()
        said = endpoint.bearer(offered, token)
        try:
            with endpoint.logging_in(mend):
                attempt(said)
        except LoginRefused:
            if not tokens.discard(token):
                raise
        else:
            return
