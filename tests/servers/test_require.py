"""A test whose server is missing is skipped, or fails where the servers are asked for."""

from __future__ import annotations

import pytest

from tests.servers import require_or_skip


def test_missing_servers_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOLIBRI_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="dovecot is not installed"):
        require_or_skip("dovecot", present=False)


def test_missing_servers_fail_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOLIBRI_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="KOLIBRI_REQUIRE_SERVERS"):
        require_or_skip("dovecot", present=False)
    require_or_skip("dovecot", present=True)
