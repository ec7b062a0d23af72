"""Real servers for tests: on loopback, as an ordinary user, stopped by their own process id."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["free_port", "require_or_skip", "server_folder", "server_user"]


def require_or_skip(name: str, present: bool) -> None:
    """Skip a test whose server is not installed; with KOLIBRI_REQUIRE_SERVERS=1 fail instead."""
    if present:
        return
    reason = f"{name} is not installed on this machine"
    if os.environ.get("KOLIBRI_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{reason}, and KOLIBRI_REQUIRE_SERVERS=1 asks for it")
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_user() -> pwd.struct_passwd:
    """Whom servers run as: ourselves, or ``nobody`` when we are root (they refuse to be root)."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def as_server_user() -> dict[str, Any]:
    """The arguments for ``subprocess`` that make a child run as that user."""
    if os.geteuid() != 0:
        return {}
    user = server_user()
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def server_folder(name: str) -> Iterator[Path]:
    """A temporary folder that the server's user owns; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix=f"kolibri-{name}-"))
    user = server_user()
    os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
