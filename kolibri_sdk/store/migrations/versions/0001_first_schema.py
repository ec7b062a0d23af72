"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kolibri_sdk.store import capture
from kolibri_sdk.store.ids import SEQUENCES
from kolibri_sdk.store.schema import metadata, sequence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables and the source of ids."""
    connection = op.get_bind()
    metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        for name in SEQUENCES:
            op.execute(f"create sequence kolibri_{name}_ids")
        op.execute(capture.postgresql_function(connection))
        for column in ("text", "reply_text", "html"):
            op.execute(f"alter table kolibri_message alter column {column} set compression lz4")
        # Blobs are compressed already; trying again costs more than it saves.
        op.execute("alter table kolibri_blob alter column data set storage external")
    else:
        op.execute(sa.insert(sequence).values([{"name": n, "next": 1} for n in SEQUENCES]))
