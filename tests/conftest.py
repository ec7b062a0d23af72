"""Fixtures that every test can ask for: the real servers, and the browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.servers import require_or_skip
from tests.servers.dovecot import (
    PASSWORD,
    PASSWORD_VARIABLE,
    Dovecot,
    dovecot_is_installed,
    running_dovecot,
)
from tests.servers.postgresql import NewDatabase, postgresql_is_installed, running_postgresql


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A running Dovecot; its users' password is in the environment variable it names."""
    require_or_skip("dovecot (imapd, pop3d, lmtpd, submissiond)", dovecot_is_installed())
    before = os.environ.get(PASSWORD_VARIABLE)
    os.environ[PASSWORD_VARIABLE] = PASSWORD
    try:
        with running_dovecot() as server:
            yield server
    finally:
        if before is None:
            del os.environ[PASSWORD_VARIABLE]
        else:
            os.environ[PASSWORD_VARIABLE] = before


#: Nothing beyond RFC 3501.
BARE_IMAP = "protocol imap {\n  imap_capability = IMAP4rev1\n}\n"


@pytest.fixture(scope="session")
def bare_dovecot(dovecot: Dovecot) -> Iterator[Dovecot]:
    """A Dovecot that offers no IDLE, UIDPLUS, MOVE, CONDSTORE and the like."""
    with running_dovecot(more=BARE_IMAP) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[NewDatabase]:
    """A function that makes a fresh PostgreSQL database and returns its URL."""
    require_or_skip("postgresql", postgresql_is_installed())
    with running_postgresql() as new_database:
        yield new_database


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser's executable."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    require_or_skip("chromium", path is not None)
    assert path is not None
    return path
