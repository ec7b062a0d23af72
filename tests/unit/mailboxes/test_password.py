"""Passwords come from the environment or the keyring, and say where when they are missing."""

from __future__ import annotations

import keyring
import pytest
from keyring.errors import KeyringLocked

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.mailboxes import open_source, open_transport, resolve
from kolibri_sdk.model.mailbox import Mailbox, Password
from tests.unit.mailboxes.conftest import VARIABLE, reading, sending

MAILBOX = reading("imap", 143)


class Ring:
    """A keyring with one entry, or one that is locked."""

    locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("ask the user")
        return "geheim" if (service, username) == ("kolibri", "anna") else None


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()
    monkeypatch.setattr(keyring, "get_password", ring.get_password)
    return ring


def test_from_the_environment() -> None:
    assert resolve(Password.model_validate({"env": VARIABLE}), MAILBOX, "anna") == "secret"


@pytest.mark.parametrize("value", [None, ""])
def test_missing_in_the_environment(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigurationError, match=f"support.*{VARIABLE}.*export {VARIABLE}="):
        open_source(MAILBOX)


def test_from_the_keyring(ring: Ring) -> None:
    assert resolve(Password.model_validate({"keyring": "kolibri"}), MAILBOX, "anna") == "geheim"
    with pytest.raises(ConfigurationError, match="keyring set kolibri ben"):
        resolve(Password.model_validate({"keyring": "kolibri"}), MAILBOX, "ben")


def test_a_locked_keyring(ring: Ring) -> None:
    ring.locked = True
    with pytest.raises(ConfigurationError, match="does not open"):
        resolve(Password.model_validate({"keyring": "kolibri"}), MAILBOX, "anna")


def test_a_line_break_in_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "secret\r\nDELE 1")
    with pytest.raises(ConfigurationError, match="line break") as refused:
        resolve(Password.model_validate({"env": VARIABLE}), MAILBOX, "anna")
    assert "secret" not in str(refused.value)


def test_a_side_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="no outbound side"):
        open_transport(MAILBOX)
    with pytest.raises(ConfigurationError, match="no inbound side"):
        open_source(sending(25))


def test_a_ca_file_that_is_not_there() -> None:
    data = MAILBOX.model_dump(by_alias=True)
    data["inbound"]["ca"] = "no/such.pem"
    with pytest.raises(ConfigurationError, match=r"CA certificate .*no/such\.pem"):
        open_source(Mailbox.model_validate(data))
