"""Microsoft 365 by msal: a device login, or the app by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kolibri_sdk.mailboxes.oauth2.standard import Tell, client_secret, tell_code, web_session
from kolibri_sdk.mailboxes.oauth2.token import Token, libraries, reading
from kolibri_sdk.model.mailbox import ImapServer, Mailbox, Pop3Server, SmtpServer
from kolibri_sdk.model.oauth2 import MicrosoftOAuth2

__all__ = ["Microsoft"]

_SCOPES: dict[type, str] = {
    ImapServer: "IMAP.AccessAsUser.All",
    Pop3Server: "POP.AccessAsUser.All",
    SmtpServer: "SMTP.Send",
}


class Microsoft:
    """Microsoft 365 by msal: a device login, or the app by itself."""

    def __init__(self, mailbox: Mailbox, described: MicrosoftOAuth2, root: Path) -> None:
        self._mailbox = mailbox
        self._described = described
        self._root = root
        self.needs_login = described.flow == "device"

    def renew(self, refresh_token: str | None) -> Token:
        """A new access token."""
        name = self._mailbox.name
        with libraries(name), reading(name, "renewing the token"):
            app = self._application()
            if refresh_token is None:
                answer = app.acquire_token_for_client([self._resource() + ".default"])
            else:
                answer = app.acquire_token_by_refresh_token(refresh_token, self._scopes())
        return Token.of(name, answer)

    def log_in(self, tell: Tell, port: int) -> Token:  # noqa: ARG002 (needs no browser here)
        """Have a person log in."""
        name = self._mailbox.name
        with libraries(name), reading(name, "the login"):
            app = self._application()
            flow = app.initiate_device_flow(self._scopes())
            tell_code(name, flow, tell)
            answer = app.acquire_token_by_device_flow(flow)
        return Token.of(name, answer)

    def _application(self) -> Any:
        import msal  # noqa: PLC0415 (in the extra, and heavy)

        by_itself = self._described.flow == "client_credentials"
        kind = msal.ConfidentialClientApplication if by_itself else msal.PublicClientApplication
        client_id, authority = self._described.client_id, self._described.authority.rstrip("/")
        return kind(
            client_id,
            client_credential=client_secret(self._described.secret, self._mailbox, client_id)
            if by_itself
            else None,
            authority=f"{authority}/{self._described.tenant}",
            # Asks Microsoft whether the authority is one of theirs; a private one is nobody's.
            instance_discovery=".microsoftonline." in authority,
            http_client=web_session(self._described.ca, self._root),
        )

    def _scopes(self) -> list[str]:
        sides = (self._mailbox.inbound, self._mailbox.outbound)
        known = [_SCOPES[type(side)] for side in sides if type(side) in _SCOPES]
        return [f"https://outlook.{self._cloud()}/{scope}" for scope in known]

    def _resource(self) -> str:
        return f"https://outlook.{self._cloud().replace('office.', 'office365.')}/"

    def _cloud(self) -> str:
        return "office365.us" if ".us" in self._described.authority else "office.com"
