"""A real PostgreSQL on loopback: its own cluster in a temporary folder, a database per test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers import as_server_user, free_port, server_folder

__all__ = ["NewDatabase", "postgresql_is_installed", "running_postgresql"]

NewDatabase = Callable[[], str]
CLUSTER = ("-U", "kolibri", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
SERVER = ("-k", ".", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")


def postgresql_is_installed() -> bool:
    """Whether the programs of some version are there."""
    return _program("initdb") is not None and _program("postgres") is not None


def _program(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = [*map(str, debian), os.environ.get("PATH", "")]
    return shutil.which(name, path=":".join(folders))


@contextmanager
def running_postgresql() -> Iterator[NewDatabase]:
    """A cluster from start to stop; what it yields makes a database and returns its URL."""
    with server_folder("postgresql") as folder:
        data, port = folder / "data", free_port()
        subprocess.run(
            [str(_program("initdb")), "-D", str(data), *CLUSTER],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_server_user(),
        )
        log = (folder / "postgresql.log").open("wb")
        server = subprocess.Popen(
            [str(_program("postgres")), "-D", str(data), "-p", str(port), *SERVER],
            cwd=folder,
            stdout=log,
            stderr=log,
            **as_server_user(),
        )
        try:
            with _administrator(port, server) as connection:
                yield _maker(connection, port)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: open sessions are ended
            server.wait(timeout=20)
            log.close()


def _administrator(
    port: int, server: subprocess.Popen[bytes]
) -> psycopg.Connection[tuple[object, ...]]:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(
                f"host=127.0.0.1 port={port} user=kolibri dbname=postgres", autocommit=True
            )
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _maker(connection: psycopg.Connection[tuple[object, ...]], port: int) -> NewDatabase:
    numbers = itertools.count(1)

    def new_database() -> str:
        name = f"kolibri_{next(numbers)}"
        connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://kolibri@127.0.0.1:{port}/{name}"

    return new_database
