"""S14: mail is fetched with OAuth2, too; a grant that ends is an alarm days before mail stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import keyring
import pytest
from typer.testing import CliRunner, Result

from kolibri_sdk import clock
from kolibri_sdk.cli import app
from tests.acceptance.conftest import Desk
from tests.project import ProjectFolder, letter
from tests.servers import require_or_skip
from tests.servers.dovecot import Dovecot, dovecot_is_installed, running_dovecot
from tests.servers.oauth import AuthServer, running_auth_server

pytestmark = pytest.mark.dovecot


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthServer]:
    with running_auth_server() as server:
        yield server


@pytest.fixture(scope="module")
def server(provider: AuthServer) -> Iterator[Dovecot]:
    require_or_skip("dovecot", dovecot_is_installed())
    with running_dovecot(introspection=f"{provider.url}/introspect") as dovecot:
        yield dovecot


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda *key: entries.get(key))
    monkeypatch.setattr(
        keyring, "set_password", lambda service, user, text: entries.update({(service, user): text})
    )


@pytest.fixture
def desk(tmp_path: Any, server: Dovecot, provider: AuthServer) -> Iterator[Desk]:
    desk = Desk(ProjectFolder(tmp_path), server)
    provider.__init__(user=desk.user, port=provider.port)  # type: ignore[misc]
    described = {
        "provider": "generic",
        "client_id": "kolibri",
        "token_url": f"{provider.url}/token",
        "device_url": f"{provider.url}/devicecode",
    }
    sides = {"inbound": server.inbound(desk.user), "outbound": server.outbound(desk.user)}
    for side in sides.values():
        del side["password"]
    desk.mailbox(oauth2=described, **sides)
    desk.folder.use_shipped_rules()
    yield desk
    desk.close()


@pytest.fixture
def kolibri(desk: Desk) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        desk.close()
        return CliRunner().invoke(app, [*arguments, "-C", str(desk.folder.root)])

    return run


def test_login_poll_and_answer(desk: Desk, kolibri: Callable[..., Result]) -> None:
    refused = kolibri("poll", "--passes", "1")
    assert refused.exit_code == 1
    assert "Run: kolibri mailbox login support" in refused.stderr

    login = kolibri("mailbox", "login", "support")
    assert login.exit_code == 0, login.output
    assert "/activate in any browser, enter the code WXYZ-1234" in login.stdout

    desk.deliver(letter())
    polled = kolibri("poll", "--passes", "1")
    assert polled.exit_code == 0, polled.output
    assert desk.answer_to("anna@customer.example")
    assert kolibri("status").exit_code == 0
    checked = kolibri("mailbox", "check", "support")
    assert checked.exit_code == 0, checked.output
    assert "oauth2  login of" in checked.stdout


def test_a_login_that_will_end_is_an_alarm_while_mail_still_flows(
    desk: Desk, kolibri: Callable[..., Result], provider: AuthServer
) -> None:
    provider.refresh_lifetime = 90 * 86_400
    provider.rotates = False
    assert kolibri("mailbox", "login", "support").exit_code == 0
    provider.refresh_lifetime = None

    with clock.fixed(clock.now() + timedelta(days=74)):
        assert kolibri("poll", "--passes", "1").exit_code == 0

    desk.deliver(letter())
    with clock.fixed(clock.now() + timedelta(days=80)):
        polled = kolibri("poll", "--passes", "1")
        assert "1 stored" in polled.stdout
        assert "the login ends in 9 days" in polled.stderr
        assert polled.exit_code == 1
        status = kolibri("status")
        assert "Needs a person: Mailbox support: OAuth2: the login ends in 9 days" in status.stderr
        assert status.exit_code == 1


def test_a_revoked_login_is_an_alarm_while_the_last_token_still_works(
    desk: Desk, kolibri: Callable[..., Result], provider: AuthServer
) -> None:
    kolibri("mailbox", "login", "support")
    provider.lifetime = 7 * 86_400
    morning = clock.now()
    assert desk.healthy_poll().ok

    provider.revoked = True
    desk.deliver(letter())
    with clock.fixed(morning + timedelta(hours=23)):
        assert desk.healthy_poll().counts["stored"] == 1, "nobody has asked yet"
    desk.deliver(letter())
    with clock.fixed(morning + timedelta(hours=25)):
        report = desk.poll()
        assert report.counts["stored"] == 1, "the token still works"
        (error,) = report.errors
        assert "the provider refuses the grant (invalid_grant" in error
        assert kolibri("status").exit_code == 1

    provider.revoked = False
    assert kolibri("mailbox", "login", "support").exit_code == 0
    assert kolibri("status").exit_code == 1, "the last pass still says it"
    assert kolibri("poll", "--passes", "1").exit_code == 0
    assert kolibri("status").exit_code == 0
