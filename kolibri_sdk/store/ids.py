"""Ids assigned by the client, in blocks, so that a batch goes in by one bulk insert."""

from __future__ import annotations

import sqlalchemy as sa

from kolibri_sdk.store.schema import sequence

__all__ = ["SEQUENCES", "take"]

#: Tables whose ids are assigned by the client.
SEQUENCES = ("message", "decision", "outbox", "activity", "run")


def take(tx: sa.Connection, name: str, count: int) -> list[int]:
    """Reserve that many ids of the table ``kolibri_{name}``, growing.

    A transaction that is rolled back may leave a gap (PostgreSQL); an id is never given twice.
    """
    if count == 0:
        return []
    if tx.dialect.name == "postgresql":
        # Sequences are not transactional: no writer waits for another one's commit.
        drawn = sa.text("select nextval(:name) from generate_series(1, :count)")
        return list(tx.execute(drawn, {"name": f"kolibri_{name}_ids", "count": count}).scalars())
    after = tx.execute(_GROWN, {"which": name, "by": count}).scalar_one()
    return list(range(after - count, after))


_GROWN = (
    sa.update(sequence)
    .where(sequence.c.name == sa.bindparam("which"))
    .values(next=sequence.c.next + sa.bindparam("by", type_=sa.Integer))
    .returning(sequence.c.next)
)
