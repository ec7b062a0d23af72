"""The providers: how each gives a first token to a person, and later ones to the poller."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.oauth2.google import Google
from kolibri_sdk.mailboxes.oauth2.microsoft import Microsoft
from kolibri_sdk.mailboxes.oauth2.standard import Generic, Tell
from kolibri_sdk.mailboxes.oauth2.token import Token
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GenericOAuth2, GoogleOAuth2, MicrosoftOAuth2

__all__ = ["Provider", "provider_of"]


class Provider(Protocol):
    """One mailbox at one provider."""

    @property
    def needs_login(self) -> bool:
        """Whether a person has to log in first."""
        ...

    def renew(self, refresh_token: str | None) -> Token:
        """A new access token; the refresh token is None where nobody has to log in.

        Raises
        ------
        GrantRefused
            When the provider will not give one until a person acts.
        ConnectionFailed
            When it cannot be asked now.
        ConfigurationError
            When a secret is not to be found.
        """
        ...

    def log_in(self, tell: Tell, port: int) -> Token:
        """Have a person log in: ``tell`` gets what they must do; the first token.

        With a browser on this machine, the answer comes to this port (0: any) on loopback.
        """
        ...


def provider_of(mailbox: Mailbox, root: Path) -> Provider:
    """The provider that the mailbox's file describes."""
    match mailbox.oauth2:
        case MicrosoftOAuth2() as described:
            return Microsoft(mailbox, described, root)
        case GoogleOAuth2() as described:
            return Google(mailbox, described, root)
        case GenericOAuth2() as described:
            return Generic(mailbox, described, root)
        case None:
            raise ConfigurationError(
                f"Mailbox {mailbox.name} has no oauth2", f"Add `oauth2:` to {mailbox.file or 'it'}."
            )
