"""OAuth2 on a real Dovecot, which asks a provider on loopback about every token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import keyring
import pytest

from kolibri_sdk import clock
from kolibri_sdk.errors import GrantRefused, LoginRefused, ServerRefused
from kolibri_sdk.mailboxes import Connections, check_mailbox, open_source, open_transport
from kolibri_sdk.mailboxes.oauth2 import AccessTokens
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.model.outbox import Envelope
from tests.mail.conftest import mail, subjects
from tests.servers import require_or_skip
from tests.servers.dovecot import Dovecot, dovecot_is_installed, running_dovecot
from tests.servers.oauth import AuthServer, running_auth_server

pytestmark = pytest.mark.dovecot


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthServer]:
    with running_auth_server() as server:
        yield server


@pytest.fixture(scope="module", params=["xoauth2", "oauthbearer"])
def server(request: pytest.FixtureRequest, provider: AuthServer) -> Iterator[Dovecot]:
    require_or_skip("dovecot", dovecot_is_installed())
    url = f"{provider.url}/introspect"
    with running_dovecot(introspection=url, tokens=request.param) as dovecot:
        yield dovecot


@pytest.fixture(autouse=True)
def fresh(provider: AuthServer, server: Dovecot) -> None:
    """The provider as on its first day, and a user of our own."""
    port = provider.port
    provider.__init__(user=server.new_user("oauth"), port=port)  # type: ignore[misc]


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A keyring of this test's own."""
    entries: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda *key: entries.get(key))

    def put(service: str, user: str, secret: str) -> None:
        entries[service, user] = secret

    monkeypatch.setattr(keyring, "set_password", put)
    return entries


def mailbox(
    server: Dovecot, provider: AuthServer, protocol: str = "imap", **oauth2: Any
) -> Mailbox:
    sides: dict[str, Any] = {
        "inbound": server.inbound(provider.user, protocol),
        "outbound": server.outbound(provider.user),
    }
    for side in sides.values():
        del side["password"]
    described = {
        "provider": "generic",
        "client_id": "kolibri",
        "token_url": f"{provider.url}/token",
        "device_url": f"{provider.url}/devicecode",
        "scope": ["mail", "offline_access"],
    }
    return Mailbox.model_validate(
        {
            "name": "support",
            "address": f"{provider.user}@example.org",
            "oauth2": described | oauth2,
            **sides,
        }
    )


def logged_in(box: Mailbox) -> AccessTokens:
    """Its tokens after somebody has logged in."""
    AccessTokens(box, Path()).log_in(lambda _: None)
    return AccessTokens(box, Path())


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_token_opens_the_mailbox(server: Dovecot, provider: AuthServer, protocol: str) -> None:
    box = mailbox(server, provider, protocol)
    tokens = logged_in(box)
    server.deliver(provider.user, mail(1))
    with open_source(box, tokens=tokens) as source:
        source.open("INBOX")
        assert subjects(source.fetch(source.list(unread=False, above=None, since=None))) == [
            "mail 1"
        ]
    assert provider.introspections


def test_a_token_submits_mail(server: Dovecot, provider: AuthServer) -> None:
    box = mailbox(server, provider)
    with open_transport(box, tokens=logged_in(box)) as transport:
        to = f"ben-{provider.user}@example.org"
        assert transport.send(Envelope(box.address, (to,)), mail(1)).accepted == (to,)
    assert len(server.sink.to(to)) == 1


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_token_that_ended_is_renewed_before_it_is_used(
    server: Dovecot, provider: AuthServer, protocol: str
) -> None:
    box = mailbox(server, provider, protocol)
    tokens = logged_in(box)
    open_source(box, tokens=tokens).close()
    asked = len(provider.asked)
    open_source(box, tokens=tokens).close()
    assert len(provider.asked) == asked, "one that lasts is used again"

    with clock.fixed(clock.now() + timedelta(minutes=56)):
        open_source(box, tokens=tokens).close()
    assert provider.asked[-1]["grant_type"] == "refresh_token"
    assert len(provider.asked) == asked + 1


@pytest.mark.parametrize("side", ["imap", "pop3", "smtp"])
def test_a_token_that_was_revoked_before_its_time_is_replaced(
    server: Dovecot, provider: AuthServer, side: str
) -> None:
    box = mailbox(server, provider, "pop3" if side == "pop3" else "imap")
    tokens = logged_in(box)
    tokens.bearer()
    provider.forget_access()
    with clock.fixed(clock.now() + timedelta(minutes=10)):
        (open_transport if side == "smtp" else open_source)(box, tokens=tokens).close()


@pytest.mark.parametrize("side", ["imap", "pop3", "smtp"])
def test_a_server_that_refuses_a_fresh_token_is_asked_once_and_not_stormed(
    server: Dovecot, provider: AuthServer, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = mailbox(server, provider, "pop3" if side == "pop3" else "imap")
    tokens = logged_in(box)
    provider.lifetime = -1  # nobody takes what it gives
    before = provider.introspections
    with pytest.raises(LoginRefused, match=r"support.*kolibri mailbox login support"):
        (open_transport if side == "smtp" else open_source)(box, tokens=tokens)
    assert provider.introspections - before <= 2


def test_a_grant_that_was_revoked_names_the_command(server: Dovecot, provider: AuthServer) -> None:
    box = mailbox(server, provider)
    tokens = logged_in(box)
    provider.revoked = True
    with pytest.raises(GrantRefused, match=r"invalid_grant: the grant was revoked.*mailbox login"):
        open_source(box, tokens=tokens)
    asked = len(provider.asked)
    for _ in range(5):
        with pytest.raises(GrantRefused):
            open_source(box, tokens=tokens)
    assert len(provider.asked) == asked, "the provider is not stormed"

    provider.revoked = False
    AccessTokens(box, Path()).log_in(lambda _: None)  # by the command, in another process
    open_source(box, tokens=tokens).close()


def test_nobody_has_logged_in_yet(server: Dovecot, provider: AuthServer) -> None:
    with pytest.raises(GrantRefused, match=r"nobody has logged in.*kolibri mailbox login support"):
        open_source(mailbox(server, provider))


def test_client_credentials_need_nobody(
    server: Dovecot, provider: AuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOLIBRI_TEST_SECRET", provider.secret)
    by_itself = {"flow": "client_credentials", "secret": {"env": "KOLIBRI_TEST_SECRET"}}
    box = mailbox(server, provider, **by_itself)
    open_source(box).close()
    assert provider.asked[-1]["client"] == f"kolibri:{provider.secret}"

    monkeypatch.setenv("KOLIBRI_TEST_SECRET", "wrong")
    with pytest.raises(GrantRefused, match="invalid_client"):
        open_source(box)


def test_a_server_without_such_a_mechanism_gets_no_token(
    dovecot: Dovecot, provider: AuthServer
) -> None:
    box = mailbox(dovecot, provider)
    with pytest.raises(ServerRefused, match=r"offers neither OAUTHBEARER nor XOAUTH2, but PLAIN"):
        open_source(box, tokens=logged_in(box))


def test_the_check_shows_the_grant(server: Dovecot, provider: AuthServer) -> None:
    box = mailbox(server, provider, login_lasts_days=7)
    logged_in(box)
    check = check_mailbox(box)
    assert check.ok, str(check)
    assert "oauth2  login of " in str(check)
    assert "the login ends on" in str(check)

    provider.revoked = True
    check = check_mailbox(box)
    assert not check.ok
    assert "oauth2  Mailbox support: OAuth2: the provider refuses the grant" in str(check)


def test_a_kept_connection_outlives_its_token_and_the_next_one_gets_a_new_one(
    server: Dovecot, provider: AuthServer
) -> None:
    box = mailbox(server, provider)
    logged_in(box)
    connections = Connections(Path())
    with connections.source(box) as source:
        source.open("INBOX")
    provider.forget_access()
    with connections.source(box) as source:
        source.open("INBOX")
    server.kick(provider.user)
    with clock.fixed(clock.now() + timedelta(hours=1)):
        with connections.source(box) as source:
            source.open("INBOX")
        connections.close()
    assert provider.asked[-1]["grant_type"] == "refresh_token"
