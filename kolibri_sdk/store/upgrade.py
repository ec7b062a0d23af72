"""The newest schema: on start for SQLite, by ``kolibri upgrade`` elsewhere."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.store.dialect import take_turns
from kolibri_sdk.store.engine import Store

__all__ = ["newest", "require_current", "schema_version", "upgrade"]

_FOLDER = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def newest() -> str:
    """The newest revision that this version of the package knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def schema_version(tx: sa.Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    context = MigrationContext.configure(tx, opts={"version_table": "kolibri_schema_version"})
    return context.get_current_revision()


def upgrade(store: Store) -> tuple[str | None, str]:
    """Apply the missing migrations in one transaction; revision before and after."""
    with store.write() as tx:
        take_turns(tx)
        before = schema_version(tx)
        if before != newest():
            config = _config()
            config.attributes["connection"] = tx
            command.upgrade(config, "head")
        return before, newest()


def require_current(store: Store) -> None:
    """Upgrade a SQLite database; refuse a PostgreSQL one that is not at the newest revision.

    Raises
    ------
    ConfigurationError
        When somebody has to run ``kolibri upgrade`` first, or the database is newer than the code.
    """
    with store.read() as tx:
        version = schema_version(tx)
    if version == newest():
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigurationError(
            f"The database has the schema {version}, which this version does not know",
            "Install the newer kolibri-sdk that made it",
        )
    if not store.is_sqlite:
        at = f"at schema {version}" if version else "empty"
        raise ConfigurationError(f"The database is {at}", "Run: kolibri upgrade")
    upgrade(store)
