"""One sandbox for all tests of the room: it decides, and keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kolibri_sdk.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(deadline=0.3) as running:
        yield running
