"""The access tokens of one mailbox: renewed before they end, and what is known of the grant."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from threading import Lock

from kolibri_sdk import clock
from kolibri_sdk.errors import GrantRefused, KolibriError, MailboxError
from kolibri_sdk.mailboxes.argument import plain
from kolibri_sdk.mailboxes.oauth2.providers import provider_of
from kolibri_sdk.mailboxes.oauth2.standard import Tell
from kolibri_sdk.mailboxes.oauth2.token import Token
from kolibri_sdk.mailboxes.oauth2.vault import Grant, read_grant, write_grant
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.oauth2 import GrantState

__all__ = ["AccessTokens"]

_SPARE = timedelta(minutes=5)  #: a token with less than this left is renewed
_AGAIN = timedelta(minutes=5)  #: how soon a renewal that failed is tried again while a token lasts
_DAY = timedelta(hours=24)


class AccessTokens:
    """Signs a mailbox in; safe to use from several threads.

    Parameters
    ----------
    mailbox : Mailbox
        With ``oauth2``.
    root : Path
        The project folder.

    Attributes
    ----------
    state : GrantState
        What is known of the grant, as of the last renewal.
    """

    def __init__(self, mailbox: Mailbox, root: Path) -> None:
        self._mailbox = mailbox
        self._provider = provider_of(mailbox, root)
        self._lock = Lock()
        self._token: Token | None = None
        self._tried_at: datetime | None = None
        self._refused: tuple[str | None, GrantRefused] | None = None
        self.state = GrantState(mailbox.name)

    def bearer(self) -> str:
        """A token that is good for five minutes at least.

        Raises
        ------
        GrantRefused
            When somebody has to log in (again).
        ConnectionFailed
            When the provider cannot be asked now.
        ConfigurationError
            When a secret or the keyring is not to be had.
        """
        with self._lock:
            self._renew_if_due()
            assert self._token is not None
            return plain(self._token.access, "the access token", self._mailbox.name)

    def discard(self, token: str) -> bool:
        """A server refused this token; whether another one may fare better."""
        with self._lock:
            if self._token is None or self._token.access != token:
                return True
            young = clock.now() - self._token.issued_at < _SPARE
            self._token = None
            return not young

    def check(self) -> GrantState:
        """See whether the grant still stands: it is renewed once a day, needed or not.

        So a login that was revoked, or a secret that has ended, shows before the access token
        ends that the mailbox lives on. Never raises: what is wrong is in the state.
        """
        with self._lock:
            now = clock.now()
            checked = self.state.checked_at
            if self._token is not None and (checked is None or now - checked > _DAY):
                self._token = replace(self._token, ends_at=min(self._token.ends_at, now + _SPARE))
            with suppress(KolibriError):  # a refusal is in the state, the fetch tells the rest
                self._renew_if_due()
        return self.state

    def log_in(self, tell: Tell, port: int = 0) -> GrantState:
        """Have a person log in, and keep the grant; ``tell`` gets what they must do."""
        with self._lock:
            if not self._provider.needs_login:
                self._take(self._provider.renew(None), None)
                return self.state
            token = self._provider.log_in(tell, port)
            if token.refresh is None:
                raise GrantRefused(
                    self._mailbox.name,
                    "OAuth2: the provider gave no refresh token, so that the login would end soon",
                    "Ask for offline access: with many providers, the scope offline_access.",
                )
            grant = Grant(token.refresh, token.issued_at, token.refresh_ends_at)
            write_grant(self._mailbox, grant)
            self._take(token, grant)
            return self.state

    def _renew_if_due(self) -> None:
        now = clock.now()
        token = self._token
        if token is not None and token.ends_at - now > _SPARE:
            return
        lasts = token is not None and token.ends_at > now
        tried = self._tried_at is not None and timedelta(0) <= now - self._tried_at < _AGAIN
        if tried and lasts:
            return
        if tried and self._refused is not None and self._refused[0] == self._refresh_token():
            raise self._refused[1]  # the same question would get the same answer
        self._tried_at = now
        try:
            self._renew()
        except MailboxError as error:
            if isinstance(error, GrantRefused):
                self._refused = self._refresh_token(), error
                self._note(error=str(error))
            if not lasts:
                raise

    def _renew(self) -> None:
        if not self._provider.needs_login:
            self._take(self._provider.renew(None), None)
            return
        grant = self._grant()
        try:
            token = self._provider.renew(grant.refresh_token)
        except GrantRefused:
            # Another poller may have renewed it: many providers let a refresh token count once.
            newer = self._grant()
            if newer.refresh_token == grant.refresh_token:
                raise
            grant, token = newer, self._provider.renew(newer.refresh_token)
        kept = replace(
            grant,
            refresh_token=token.refresh or grant.refresh_token,
            ends_at=token.refresh_ends_at or (None if token.refresh else grant.ends_at),
        )
        if kept.refresh_token != grant.refresh_token or _moved(kept.ends_at, grant.ends_at):
            write_grant(self._mailbox, kept)
        self._take(token, kept)

    def _refresh_token(self) -> str | None:
        grant = read_grant(self._mailbox) if self._provider.needs_login else None
        return grant.refresh_token if grant else None

    def _grant(self) -> Grant:
        grant = read_grant(self._mailbox)
        if grant is None:
            raise GrantRefused(
                self._mailbox.name,
                f"OAuth2: nobody has logged in as {self._mailbox.login_name} on this machine yet",
                f"Run: kolibri mailbox login {self._mailbox.name}",
            )
        return grant

    def _take(self, token: Token, grant: Grant | None) -> None:
        self._token = token
        self._tried_at = self._refused = None
        ends_at, ends = self._end(grant)
        self._note(
            granted_at=grant.granted_at if grant else None,
            checked_at=token.issued_at,
            ends_at=ends_at,
            ends=ends,
            error="",
        )

    def _note(self, **values: object) -> None:
        self.state = replace(self.state, **values)  # type: ignore[arg-type]

    def _end(self, grant: Grant | None) -> tuple[datetime | None, str]:
        """When the grant ends as far as anybody has said, and what ends then."""
        described = self._mailbox.oauth2
        assert described is not None
        ends = []
        if grant is not None and grant.ends_at is not None:
            ends.append((grant.ends_at, "the login"))
        if grant is not None and described.login_lasts_days is not None:
            lasts = timedelta(days=described.login_lasts_days)
            ends.append((grant.granted_at + lasts, "the login"))
        if described.secret_expires is not None:
            midnight = datetime.combine(described.secret_expires, time(), UTC)
            ends.append((midnight, "the client secret"))
        return min(ends, default=(None, "the login"))


def _moved(new: datetime | None, old: datetime | None) -> bool:
    """Whether the end has moved by an hour: less is not worth a word to the keyring."""
    if new is None or old is None:
        return new is not old
    return abs(new - old) > timedelta(hours=1)
