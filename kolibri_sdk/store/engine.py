"""Opening the database: pragmas, transactions that lock first, errors in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from kolibri_sdk import checkpoint, clock
from kolibri_sdk.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DiskFull,
    StoreError,
)
from kolibri_sdk.store.plain_json import dumps, loads

__all__ = ["Store", "translated"]

_LOCK_WAIT_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.02
_UNAVAILABLE = (
    *("locked", "lock timeout", "deadlock"),
    *("unable to open", "could not connect", "closed", "terminat", "refused"),
)


class Store:
    """A database, SQLite or PostgreSQL; rooms above use it through ``read`` and ``write``.

    Parameters
    ----------
    url : str
        SQLAlchemy URL. SQLite gets WAL and ``synchronous=FULL``, so that what is committed
        survives a power cut; PostgreSQL is taken as it is configured.
    lock_wait : float
        Seconds to wait for another writer before ``DatabaseUnavailable``; ``?timeout=5`` in the
        URL of a SQLite database comes first.

    Examples
    --------
    >>> with Store("sqlite://").read() as tx:
    ...     tx.execute(sa.text("select 1")).scalar()
    1
    """

    def __init__(self, url: str, *, lock_wait: float = _LOCK_WAIT_SECONDS) -> None:
        self.url = url
        try:
            parsed = make_url(url)
        except sa.exc.ArgumentError as error:
            raise ConfigurationError(
                f"{url!r} is no database URL", "Write sqlite:///FILE or postgresql+psycopg://…"
            ) from error
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if not self.is_sqlite and parsed.get_backend_name() != "postgresql":
            raise ConfigurationError(
                f"{parsed.get_backend_name()} is not supported as a database",
                "Use SQLite or PostgreSQL",
            )
        self.engine = _engine(url, self.is_sqlite, lock_wait)

    def __repr__(self) -> str:
        return f"Store({self.engine.url.render_as_string(hide_password=True)})"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading; nothing is committed."""
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def read_only(self) -> Iterator[sa.Connection]:
        """A connection whose writes the database itself refuses, whoever uses it, for the lab."""
        with translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(postgresql_readonly=True)
                yield connection
                return
            switch = connection.connection.dbapi_connection
            assert switch is not None
            switch.execute("PRAGMA query_only=ON")
            try:
                yield connection
            finally:
                switch.execute("PRAGMA query_only=OFF")

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: committed at the end, rolled back on an error.

        Raises
        ------
        DatabaseUnavailable, DiskFull, StoreError
            In place of the driver's own errors.
        """
        with translated(), self.engine.connect() as connection:
            connection.execution_options(kolibri_write=True)
            with connection.begin():
                yield connection
                checkpoint.reach("store.before_commit")
            checkpoint.reach("store.after_commit")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, is_sqlite: bool, lock_wait: float) -> sa.Engine:
    options: dict[str, Any] = {
        "json_serializer": dumps,
        "json_deserializer": loads,
        "pool_pre_ping": not is_sqlite,
    }
    if is_sqlite:
        options["connect_args"] = {"check_same_thread": False}
        if "timeout" not in make_url(url).query:
            options["connect_args"]["timeout"] = lock_wait
    try:
        engine = sa.create_engine(url, **options)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise ConfigurationError(
            f"There is no driver {make_url(url).drivername} here",
            'For postgresql+psycopg run: pip install "kolibri-sdk[postgresql]"',
        ) from error
    if is_sqlite:
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, lock_wait))
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(lock_wait: float, connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late and too weak; _begin_sqlite says it instead.
    connection.isolation_level = None
    # SQLite's own lower() knows ASCII only: Änne would not be änne.
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    # Mails are larger than the usual 4 KB: a third less work for a batch of them. It counts for a
    # database that is being made, and has to be said first.
    cursor.execute("PRAGMA page_size=8192")
    _turn_to_wal(cursor, lock_wait)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _turn_to_wal(cursor: Any, lock_wait: float) -> None:
    """Of two that open a new database at once, SQLite refuses one here without its usual wait."""
    waited = clock.stopwatch()
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or waited() > lock_wait:
                raise
            clock.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reading transaction that turns into a writing one can fail at once with "database is
    # locked", whatever the timeout; taking the write lock first makes it wait its turn.
    writes = connection.get_execution_options().get("kolibri_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours; integrity errors pass, callers decide on them."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except sa.exc.DBAPIError as error:
        text = str(error.orig)
        low = text.lower()
        if "disk is full" in low or "no space left" in low:
            raise DiskFull(
                f"The database has no room left ({text})",
                "Free space on its device; nothing was lost, the next pass goes on",
            ) from error
        if error.connection_invalidated or any(word in low for word in _UNAVAILABLE):
            raise DatabaseUnavailable(
                f"The database cannot be used now ({text})",
                "Nothing was lost; the next pass tries again",
            ) from error
        if "connection failed" in low:
            raise DatabaseUnavailable(
                f"The database does not let us in ({text})",
                "Compare host, name, user and password of its URL with the server's",
            ) from error
        raise StoreError(f"The database refused a statement ({text})") from error
