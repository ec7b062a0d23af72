"""How OAuth2 is described, and when a grant is worth an alarm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from kolibri_sdk.model.mailbox import MailboxDocument
from kolibri_sdk.model.oauth2 import GrantState

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
GENERIC = {"provider": "generic", "client_id": "c", "token_url": "https://p.example/token"}


def document(**oauth2: Any) -> MailboxDocument:
    inbound = {"protocol": "imap", "host": "h", "user": "u"}
    return MailboxDocument.model_validate({"address": "a@b", "inbound": inbound, "oauth2": oauth2})


@pytest.mark.parametrize(
    ("oauth2", "missing"),
    [
        ({**GENERIC}, "needs device_url"),
        ({**GENERIC, "flow": "browser"}, "needs authorize_url"),
        ({**GENERIC, "flow": "client_credentials"}, "needs secret"),
        ({**GENERIC, "token_url": "http://p.example/token"}, "must begin with https"),
        ({**GENERIC, "device_url": "http://p.example/d"}, "must begin with https"),
        ({"provider": "microsoft"}, "client_id"),
        (
            {"provider": "microsoft", "client_id": "c", "flow": "client_credentials"},
            "needs secret",
        ),
        ({"provider": "google"}, "needs client_id and secret"),
        ({"provider": "google", "flow": "service_account"}, "needs key"),
        ({"provider": "yahoo"}, "provider"),
    ],
)
def test_what_is_missing_is_told(oauth2: dict[str, Any], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        document(**oauth2)


def test_plain_http_is_for_this_machine_alone() -> None:
    local = "http://127.0.0.1:8080/token"
    assert document(**{**GENERIC, "token_url": local, "device_url": local}).oauth2 is not None


def state(**more: Any) -> GrantState:
    return GrantState("support", granted_at=NOW, checked_at=NOW, **more)


@pytest.mark.parametrize(
    ("lasts", "quiet_until"),
    [(timedelta(days=90), timedelta(days=75)), (timedelta(days=7), timedelta(days=5))],
)
def test_a_grant_that_ends_is_told_days_ahead(lasts: timedelta, quiet_until: timedelta) -> None:
    ends = NOW + lasts
    renewed = state(ends_at=ends)
    for days in range(lasts.days):
        moment = NOW + timedelta(days=days)
        alarm = GrantState(**{**as_dict(renewed), "checked_at": moment}).alarm(moment)
        assert bool(alarm) == (timedelta(days=days) > quiet_until), days
    assert "kolibri mailbox login support" in alarm
    assert "ends in 24 hours" in alarm


def as_dict(value: GrantState) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_a_secret_that_ends_asks_for_a_new_one() -> None:
    alarm = GrantState(
        "support", checked_at=NOW, ends_at=NOW + timedelta(days=10), ends="the client secret"
    ).alarm(NOW)
    assert "the client secret ends in 10 days" in alarm
    assert "secret_expires" in alarm


def test_a_grant_that_is_not_renewed_daily_is_told() -> None:
    assert not state().alarm(NOW + timedelta(hours=25))
    assert "last renewed" in state().alarm(NOW + timedelta(hours=27))


def test_an_ended_grant_is_past() -> None:
    assert "ended on" in state(ends_at=NOW).alarm(NOW + timedelta(hours=1))
