"""Mailboxes of servers that misbehave: no TLS, a short patience."""

from __future__ import annotations

import pytest

from kolibri_sdk.model.mailbox import Mailbox

VARIABLE = "KOLIBRI_DOUBLE_PASSWORD"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "secret")


def reading(protocol: str, port: int, **more: object) -> Mailbox:
    """A mailbox that reads from this port of loopback."""
    server = {"protocol": protocol, "host": "127.0.0.1", "port": port, "security": "none"}
    login = {"user": "anna", "password": {"env": VARIABLE}, "timeout": 0.5}
    return Mailbox.model_validate(
        {"name": "support", "address": "support@example.org", "inbound": server | login | more}
    )


def sending(port: int, **more: object) -> Mailbox:
    """A mailbox that sends to this port of loopback."""
    server = {"protocol": "smtp", "host": "127.0.0.1", "port": port, "security": "none"}
    return Mailbox.model_validate(
        {
            "name": "support",
            "address": "support@example.org",
            "outbound": server | {"timeout": 0.5} | more,
        }
    )
