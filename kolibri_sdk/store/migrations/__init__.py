"""Alembic migrations: the schema's history, each step in a transaction of its own."""
