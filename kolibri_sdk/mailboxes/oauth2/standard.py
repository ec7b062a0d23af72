"""Logging in and renewing by the bare standards: RFC 6749, 7636 (PKCE), 8252 and 8628."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from kolibri_sdk.errors import ConfigurationError, ConnectionFailed
from kolibri_sdk.mailboxes.oauth2.token import Token, libraries, reading, refusal
from kolibri_sdk.mailboxes.password import resolve
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GenericOAuth2
from kolibri_sdk.model.secret import Password

__all__ = ["Generic", "StandardClient", "Tell", "client_secret", "tell_code", "web_session"]

TIMEOUT = 30.0  #: seconds that a token endpoint may take
LOGIN_TIME = 900  #: seconds that a person has for logging in with the browser

Tell = Callable[[str], None]


class Generic:
    """Any provider that follows the standards."""

    def __init__(self, mailbox: Mailbox, described: GenericOAuth2, root: Path) -> None:
        self._mailbox = mailbox
        self._described = described
        self._root = root
        self.needs_login = described.flow != "client_credentials"

    def renew(self, refresh_token: str | None) -> Token:
        """A new access token."""
        return self._client().renew(refresh_token, self._described.scope)

    def log_in(self, tell: Tell, port: int) -> Token:
        """Have a person log in."""
        if self._described.flow == "device":
            return self._client().by_device(self._described.scope, tell)
        return self._client().by_browser(self._described.scope, tell, port, {})

    def _client(self) -> StandardClient:
        described = self._described
        endpoints = {
            "token_endpoint": described.token_url,
            "device_authorization_endpoint": described.device_url,
            "authorization_endpoint": described.authorize_url,
        }
        secret = None
        if described.secret is not None:
            secret = client_secret(described.secret, self._mailbox, described.client_id)
        ca = (described.ca, self._root)
        return StandardClient(self._mailbox.name, endpoints, described.client_id, secret, ca)


class StandardClient:
    """msal's client of the bare standards: RFC 6749, 7636 (PKCE), 8252 and 8628."""

    def __init__(
        self,
        mailbox: str,
        endpoints: Mapping[str, str | None],
        client_id: str,
        secret: str | None,
        ca: tuple[str | None, Path],
    ) -> None:
        self._mailbox = mailbox
        self._endpoints = dict(endpoints)
        self._client_id = client_id
        self._secret = secret
        self._ca = ca

    def renew(self, refresh_token: str | None, scope: Sequence[str]) -> Token:
        """A new access token; without a refresh token, for the client itself."""
        with libraries(self._mailbox), reading(self._mailbox, "renewing the token"):
            client = self._made()
            if refresh_token is None:
                answer = client.obtain_token_for_client(list(scope))
            else:
                answer = client.obtain_token_by_refresh_token(
                    refresh_token,
                    list(scope) or None,
                    rt_getter=lambda token: token,
                    on_updating_rt=False,
                    on_removing_rt=lambda _: None,
                )
        return Token.of(self._mailbox, answer)

    def by_device(self, scope: Sequence[str], tell: Tell) -> Token:
        """A token after a person has entered a code on whatever device they like (RFC 8628)."""
        with libraries(self._mailbox), reading(self._mailbox, "the login"):
            client = self._made()
            flow = client.initiate_device_flow(list(scope))
            tell_code(self._mailbox, flow, tell)
            answer = client.obtain_token_by_device_flow(flow)
        return Token.of(self._mailbox, answer)

    def by_browser(
        self, scope: Sequence[str], tell: Tell, port: int, more: Mapping[str, str]
    ) -> Token:
        """A token after a person has logged in with a browser on this machine (RFC 8252)."""

        def address(uri: str) -> None:
            tell(f"Open this address in a browser on this machine, and log in:\n  {uri}")

        with libraries(self._mailbox), reading(self._mailbox, "the login"):
            from msal.oauth2cli.oauth2 import BrowserInteractionTimeoutError  # noqa: PLC0415

            try:
                answer = self._made().obtain_token_by_browser(
                    redirect_uri=f"http://127.0.0.1:{port}",
                    scope=list(scope),
                    auth_uri_callback=address,
                    timeout=LOGIN_TIME,
                    auth_params=dict(more),
                )
            except BrowserInteractionTimeoutError as error:
                raise ConnectionFailed(
                    self._mailbox,
                    f"OAuth2: nobody logged in within {LOGIN_TIME // 60} minutes",
                    "Start the login again.",
                ) from error
        return Token.of(self._mailbox, answer)

    def _made(self) -> Any:
        from msal.oauth2cli.oauth2 import Client  # noqa: PLC0415 (in the extra, and heavy)

        return Client(
            self._endpoints,
            self._client_id,
            client_secret=self._secret,
            http_client=web_session(*self._ca),
        )


def tell_code(mailbox: str, flow: Mapping[str, Any], tell: Tell) -> None:
    """Tell the person which code to enter where."""
    if "user_code" not in flow:
        raise refusal(
            mailbox, str(flow.get("error", "no code")), str(flow.get("error_description", ""))
        )
    address = flow.get("verification_uri") or flow.get("verification_url")
    tell(
        f"Open {address} in any browser, enter the code {flow['user_code']}, and log in as the "
        "mailbox."
    )


def client_secret(place: Password | None, mailbox: Mailbox, client_id: str) -> str:
    """The secret that the provider has given to the client."""
    if place is None:
        raise ConfigurationError(f"Mailbox {mailbox.name}: oauth2 has no secret", "Add `secret:`.")
    return resolve(place, mailbox, client_id)


def web_session(ca: str | None, root: Path) -> Any:
    """The HTTP session to ask a provider with: certificates are checked, silence ends.

    A private CA that the mailbox names goes before one that the environment names.
    """
    import requests  # noqa: PLC0415 (in the extra, and heavy)

    session = requests.Session()
    settings: dict[str, Any] = {"timeout": TIMEOUT}
    if ca is not None:
        settings["verify"] = str(root / ca)
    session.request = partial(session.request, **settings)  # type: ignore[method-assign]
    return session
