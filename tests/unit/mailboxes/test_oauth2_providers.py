"""Microsoft by msal, Google by google-auth, any other by the standards: on stand-ins on loopback.

The real endpoints are never asked; what is tested is what the libraries send, and what we make of
the answers.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import keyring
import pytest
import requests
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kolibri_sdk.errors import ConfigurationError, ConnectionFailed, GrantRefused
from kolibri_sdk.mailboxes.oauth2 import AccessTokens
from kolibri_sdk.model.mailbox import Mailbox
from tests.servers.oauth import AuthServer, running_auth_server

SECRET = "KOLIBRI_TEST_CLIENT_SECRET"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def provider(authority: trustme.CA) -> Iterator[AuthServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with running_auth_server(context) as server:
        yield server


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    entries: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda *key: entries.get(key))
    monkeypatch.setattr(
        keyring, "set_password", lambda service, user, text: entries.update({(service, user): text})
    )
    monkeypatch.setenv(SECRET, "s3cret")
    return entries


def tokens(ca: str, **oauth2: Any) -> AccessTokens:
    server = {"host": "h", "user": "desk@example.org"}
    box = Mailbox.model_validate(
        {
            "name": "support",
            "address": "desk@example.org",
            "oauth2": {"ca": ca, **oauth2},
            "inbound": {"protocol": "imap", **server},
            "outbound": {"protocol": "smtp", **server},
        }
    )
    return AccessTokens(box, Path())


def microsoft(provider: AuthServer, ca: str, **more: Any) -> AccessTokens:
    described = {"client_id": "app", "tenant": "tenant", "authority": provider.url}
    return tokens(ca, provider="microsoft", **described, **more)


def google(provider: AuthServer, ca: str, **more: Any) -> AccessTokens:
    return tokens(
        ca,
        provider="google",
        token_url=f"{provider.url}/token",
        authorize_url=f"{provider.url}/authorize",
        **more,
    )


def test_microsoft_device_login_and_renewal(
    provider: AuthServer, ca: str, ring: dict[tuple[str, str], str]
) -> None:
    provider.approved = False  # the first question comes too early
    told: list[str] = []
    microsoft(provider, ca).log_in(told.append)
    assert "WXYZ-1234" in told[0]
    assert f"{provider.url}/activate" in told[0]
    scope = provider.asked[-1].get("scope") or ""
    assert [form["grant_type"].rpartition(":")[2] for form in provider.asked] == ["device_code"] * 2

    again = microsoft(provider, ca)
    assert again.bearer() == "access-3"
    form = provider.asked[-1]
    assert form["grant_type"] == "refresh_token"
    assert form["refresh_token"] == "refresh-2"
    scope = form["scope"]
    assert "https://outlook.office.com/IMAP.AccessAsUser.All" in scope
    assert "https://outlook.office.com/SMTP.Send" in scope
    assert "offline_access" in scope
    ((service, entry), kept) = next(iter(ring.items()))
    assert (service, entry) == ("kolibri-oauth2", "microsoft/app/desk@example.org")
    assert json.loads(kept)["refresh_token"] == "refresh-3", "the newest one is kept"
    assert "access-" not in kept


def test_microsoft_client_credentials(provider: AuthServer, ca: str) -> None:
    by_itself = microsoft(provider, ca, flow="client_credentials", secret={"env": SECRET})
    assert by_itself.bearer() == "access-1"
    (form,) = provider.asked
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://outlook.office365.com/.default"
    assert form["client_secret"] == "s3cret"


def test_google_renews_a_persons_token(provider: AuthServer, ca: str) -> None:
    desktop = {"client_id": "app", "secret": {"env": SECRET}}
    with browsing(provider) as tell:
        google(provider, ca, **desktop).log_in(tell)
    query = tell.query
    assert query["scope"] == ["https://mail.google.com/"]
    assert query["access_type"] == ["offline"]
    assert query["code_challenge_method"] == ["S256"]
    assert provider.asked[-1]["grant_type"] == "authorization_code"
    assert provider.asked[-1]["code_verifier"]

    assert google(provider, ca, **desktop).bearer() == "access-2"
    assert provider.asked[-1] == {
        "grant_type": "refresh_token",
        "client_id": "app",
        "client_secret": "s3cret",
        "refresh_token": "refresh-1",
    }
    provider.revoked = True
    with pytest.raises(GrantRefused, match="invalid_grant: the grant was revoked"):
        google(provider, ca, **desktop).bearer()


@pytest.mark.parametrize("as_file", [False, True])
def test_google_service_account_acts_for_the_mailbox(
    provider: AuthServer, ca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_file: bool
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    info = json.dumps(
        {
            "client_email": "kolibri@project.example",
            "private_key": pem.decode(),
            "private_key_id": "1",
            "token_uri": "https://unused.example/token",
            "type": "service_account",
        }
    )
    (tmp_path / "key.json").write_text(info)
    monkeypatch.setenv("KOLIBRI_TEST_KEY", str(tmp_path / "key.json") if as_file else info)
    account = google(provider, ca, flow="service_account", key={"env": "KOLIBRI_TEST_KEY"})
    assert account.bearer() == "access-1"
    said = jwt.decode(
        provider.asked[0]["assertion"], options={"verify_signature": False, "verify_aud": False}
    )
    assert said["sub"] == "desk@example.org"
    assert said["iss"] == "kolibri@project.example"
    assert said["scope"] == "https://mail.google.com/"


def test_any_provider_with_the_browser(provider: AuthServer, ca: str) -> None:
    described = {
        "client_id": "app",
        "flow": "browser",
        "token_url": f"{provider.url}/token",
        "authorize_url": f"{provider.url}/authorize",
    }
    with browsing(provider) as tell:
        state = tokens(ca, provider="generic", **described).log_in(tell)
    assert state.granted_at is not None


def test_a_strange_certificate_is_told(provider: AuthServer, ca: str, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    with pytest.raises(ConnectionFailed, match=r"certificate.*ca:"):
        microsoft(provider, str(stranger)).log_in(lambda _: None)


def test_a_provider_that_is_down_is_no_refusal(provider: AuthServer, ca: str) -> None:
    for make in (microsoft, google):
        more = {"client_id": "app", "secret": {"env": SECRET}} if make is google else {}
        with browsing(provider) as tell:
            make(provider, ca, **more).log_in(tell)
        provider.down = True
        with pytest.raises(ConnectionFailed):
            make(provider, ca, **more).bearer()
        provider.down = False


def test_a_missing_library_names_the_extra(
    provider: AuthServer, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "msal", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'kolibri-sdk\[oauth\]'"):
        microsoft(provider, ca).log_in(lambda _: None)


class browsing:  # noqa: N801 (used as a function)
    """Plays the person: opens the address that is told, and lets the provider answer."""

    def __init__(self, provider: AuthServer) -> None:
        self.query: dict[str, list[str]] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> browsing:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def __call__(self, text: str) -> None:
        if "/authorize" not in text:
            return
        self.query = parse_qs(urlsplit(text.rsplit(maxsplit=1)[-1]).query)
        answer = {"code": "c0", "state": self.query["state"][0]}
        redirect = self.query["redirect_uri"][0]
        thread = threading.Thread(target=lambda: requests.post(redirect, data=answer, timeout=10))
        thread.start()
        self._threads.append(thread)
