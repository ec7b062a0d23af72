"""A sandbox for all tests that do it no harm, and short ways to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kolibri_sdk.sandbox import Outcome, Sandbox, Script

MESSAGE: Mapping[str, Any] = {
    "subject": "VPN down 😀",
    "received": "2026-05-01T10:00:00+00:00",
    "to": ["anna@example.org", "support@example.org"],
    "priority": 2,
    "half": "\ud83d",
}

Ask = Callable[..., Outcome]


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def one(sandbox: Sandbox, source: str, expects: Any = "boolean") -> Outcome:
    """The outcome of one expression on one message."""
    script = Script("rule", source, expects)
    return sandbox.evaluate([script], [{"message": MESSAGE}])[0]["rule"]


@pytest.fixture
def condition(sandbox: Sandbox) -> Ask:
    return lambda source: one(sandbox, source)


@pytest.fixture
def value(sandbox: Sandbox) -> Ask:
    return lambda source: one(sandbox, source, "value")
