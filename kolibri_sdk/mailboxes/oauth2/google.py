"""Google by google-auth: a person's refresh token, or a service account with delegation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes.oauth2.standard import StandardClient, Tell, client_secret, web_session
from kolibri_sdk.mailboxes.oauth2.token import Token, libraries, reading, refusal
from kolibri_sdk.mailboxes.password import resolve
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GoogleOAuth2

__all__ = ["Google"]

_SCOPE = "https://mail.google.com/"


class Google:
    """Google by google-auth: a person's refresh token, or a service account with delegation."""

    def __init__(self, mailbox: Mailbox, described: GoogleOAuth2, root: Path) -> None:
        self._mailbox = mailbox
        self._described = described
        self._root = root
        self.needs_login = described.flow == "browser"

    def renew(self, refresh_token: str | None) -> Token:
        """A new access token."""
        name = self._mailbox.name
        with libraries(name):
            from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
            from google.auth.transport.requests import Request  # noqa: PLC0415

            session = web_session(self._described.ca, self._root)
            credentials = self._credentials(refresh_token)
        answer: dict[str, Any] = {}
        with session:
            session.hooks["response"].append(lambda got, *_, **__: answer.update(_json_of(got)))
            try:
                with reading(name, "renewing the token"):
                    credentials.refresh(Request(session=session))
            except GoogleAuthError as error:
                code = str(answer.get("error") or "server_error")
                raise refusal(name, code, str(answer.get("error_description") or error)) from error
        return Token.of(name, {**answer, "access_token": credentials.token})

    def log_in(self, tell: Tell, port: int) -> Token:
        """Have a person log in."""
        client_id = self._described.client_id or ""
        endpoints = {
            "token_endpoint": self._described.token_url,
            "authorization_endpoint": self._described.authorize_url,
        }
        secret = client_secret(self._described.secret, self._mailbox, client_id)
        ca = (self._described.ca, self._root)
        client = StandardClient(self._mailbox.name, endpoints, client_id, secret, ca)
        more = {
            "access_type": "offline",  # else there is no refresh token
            "prompt": "consent",
            "login_hint": self._mailbox.login_name,
        }
        return client.by_browser([_SCOPE], tell, port, more)

    def _credentials(self, refresh_token: str | None) -> Any:
        from google.oauth2 import credentials, service_account  # noqa: PLC0415

        service: Any = service_account.Credentials
        person: Any = credentials.Credentials
        if refresh_token is None:
            return service.from_service_account_info(
                self._key(), scopes=[_SCOPE], subject=self._mailbox.login_name
            )
        client_id = self._described.client_id or ""
        return person(
            token=None,
            refresh_token=refresh_token,
            token_uri=self._described.token_url,
            client_id=client_id,
            client_secret=client_secret(self._described.secret, self._mailbox, client_id),
        )

    def _key(self) -> Mapping[str, Any]:
        assert self._described.key is not None
        text = resolve(self._described.key, self._mailbox, self._mailbox.login_name, lines=True)
        try:
            if not text.lstrip().startswith("{"):
                text = (self._root / text).read_text(encoding="utf-8")
            key: dict[str, Any] = json.loads(text)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"Mailbox {self._mailbox.name}: the service account's key cannot be read ({error})",
                "`key:` names a place that holds the JSON of the key, or the path of its file.",
            ) from error
        default = GoogleOAuth2.model_fields["token_url"].default
        return (
            key
            if self._described.token_url == default
            else {**key, "token_uri": self._described.token_url}
        )


def _json_of(response: Any) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
