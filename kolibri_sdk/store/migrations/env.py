"""Alembic's entry: runs the migrations on the connection that the store hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="kolibri_schema_version",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
