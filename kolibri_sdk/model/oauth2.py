"""How a mailbox signs in by OAuth2, and how long its grant still lasts (RFC 6749)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from kolibri_sdk.model.document import Document
from kolibri_sdk.model.secret import Password

__all__ = ["GenericOAuth2", "GoogleOAuth2", "GrantState", "MicrosoftOAuth2", "OAuth2"]

CHECKED_DAILY = timedelta(hours=26)  #: a grant that was not renewed for so long is told
_WARN = timedelta(days=14)


class _OAuth2(Document):
    """What all providers share."""

    secret: Password | None = Field(None, description="where the client secret is kept")
    secret_expires: date | None = Field(None, description="when the client secret ends")
    login_lasts_days: int | None = Field(
        None, ge=1, description="days a login lasts, where the provider does not say so itself"
    )
    ca: str | None = Field(None, description="a private CA that signs the token endpoint")


class MicrosoftOAuth2(_OAuth2):
    """Microsoft 365: an app registration in Entra ID."""

    provider: Literal["microsoft"]
    client_id: str = Field(min_length=1, description="application (client) ID")
    tenant: str = Field("organizations", min_length=1, description="directory (tenant) ID")
    flow: Literal["device", "client_credentials"] = "device"
    authority: str = Field(
        "https://login.microsoftonline.com", description="another one for a national cloud"
    )

    @model_validator(mode="after")
    def _has_a_secret(self) -> MicrosoftOAuth2:
        _secret_for(self.flow, "client_credentials", self.secret)
        return self


class GoogleOAuth2(_OAuth2):
    """Google Workspace or Gmail: a desktop client, or a service account with delegation."""

    provider: Literal["google"]
    flow: Literal["browser", "service_account"] = "browser"
    client_id: str | None = None
    key: Password | None = Field(
        None, description="where the service account's key is kept: its JSON, or the file's path"
    )
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
    authorize_url: str = "https://accounts.google.com/o/oauth2/v2/auth"

    @model_validator(mode="after")
    def _complete(self) -> GoogleOAuth2:
        _protected(self.token_url, "token_url")
        if self.flow == "service_account" and self.key is None:
            raise ValueError("flow: service_account needs key: {env: NAME} or {keyring: SERVICE}")
        if self.flow == "browser" and (self.client_id is None or self.secret is None):
            raise ValueError("flow: browser needs client_id and secret")
        return self


class GenericOAuth2(_OAuth2):
    """Any other provider, by its endpoints."""

    provider: Literal["generic"]
    client_id: str = Field(min_length=1)
    flow: Literal["device", "browser", "client_credentials"] = "device"
    token_url: str = Field(min_length=1)
    device_url: str | None = Field(None, description="for flow: device (RFC 8628)")
    authorize_url: str | None = Field(None, description="for flow: browser (RFC 8252)")
    scope: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> GenericOAuth2:
        _protected(self.token_url, "token_url")
        _secret_for(self.flow, "client_credentials", self.secret)
        for flow, name in (("device", "device_url"), ("browser", "authorize_url")):
            address = getattr(self, name)
            if self.flow == flow and address is None:
                raise ValueError(f"flow: {flow} needs {name}")
            _protected(address, name)
        return self


OAuth2 = Annotated[MicrosoftOAuth2 | GoogleOAuth2 | GenericOAuth2, Field(discriminator="provider")]


def _secret_for(flow: str, needing: str, secret: Password | None) -> None:
    if flow == needing and secret is None:
        raise ValueError(f"flow: {needing} needs secret: {{env: NAME}} or {{keyring: SERVICE}}")


def _protected(address: str | None, name: str) -> None:
    """Tokens and secrets go there: plain HTTP is for a server on this very machine alone."""
    parts = urlsplit(address or "https:")
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"{name} must begin with https://")


@dataclass(frozen=True, slots=True)
class GrantState:
    """What is known of a mailbox's grant, and what a person should be told of it.

    Parameters
    ----------
    mailbox : str
        Whose grant it is.
    granted_at : datetime or None
        When somebody logged in; None where the flow needs nobody.
    checked_at : datetime or None
        When the provider last renewed it.
    ends_at : datetime or None
        When it ends, as far as anybody has said.
    ends : str
        What ends then: ``"the login"``, ``"the client secret"``.
    error : str
        Why the provider refuses it; empty while it does not.
    """

    mailbox: str
    granted_at: datetime | None = None
    checked_at: datetime | None = None
    ends_at: datetime | None = None
    ends: str = "the login"
    error: str = ""

    def alarm(self, now: datetime) -> str:
        """What is wrong, or will be soon, with the next step; empty where all is well.

        A person is told 14 days ahead, or in the last quarter of a grant that lasts less long.

        Examples
        --------
        >>> from datetime import UTC
        >>> now = datetime(2026, 5, 1, tzinfo=UTC)
        >>> state = GrantState("support", checked_at=now, ends_at=now + timedelta(days=6))
        >>> print(state.alarm(now))
        Mailbox support: OAuth2: the login ends in 6 days, on 2026-05-07 00:00Z; then no mail ...
        """
        if self.error:
            return self.error
        if self.ends_at is not None and self.ends_at - now <= self._ahead():
            return (
                f"Mailbox {self.mailbox}: OAuth2: {self.ends} {_when(self.ends_at, now)}; "
                f"then no mail comes in or goes out. {self._mend()}"
            )
        if self.checked_at is not None and now - self.checked_at > CHECKED_DAILY:
            return (
                f"Mailbox {self.mailbox}: OAuth2: the grant was last renewed at "
                f"{self.checked_at:%Y-%m-%d %H:%M}Z, though that is tried every day. "
                "Is the poller running, and does it reach the provider?"
            )
        return ""

    def __str__(self) -> str:
        login = f"login of {self.granted_at:%Y-%m-%d}, " if self.granted_at else ""
        renewed = f"renewed {self.checked_at:%Y-%m-%d %H:%M}Z" if self.checked_at else "not used"
        ends = f", {self.ends} ends on {self.ends_at:%Y-%m-%d}" if self.ends_at else ""
        return f"{login}{renewed}{ends}"

    def _ahead(self) -> timedelta:
        if self.granted_at is None or self.ends_at is None:
            return _WARN
        return min(_WARN, (self.ends_at - self.granted_at) / 4)

    def _mend(self) -> str:
        if self.ends == "the login":
            return f"Run: kolibri mailbox login {self.mailbox}"
        return "Make a new one, put it in place, and correct secret_expires."


def _when(end: datetime, now: datetime) -> str:
    left = end - now
    moment = f"{end:%Y-%m-%d %H:%M}Z"
    if left <= timedelta(0):
        return f"ended on {moment}"
    if left < timedelta(days=2):
        return f"ends in {left / timedelta(hours=1):.0f} hours, on {moment}"
    return f"ends in {left.days} days, on {moment}"
