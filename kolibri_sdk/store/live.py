"""How a version of a rule fares on live mail: asked, matched, failed, overruled by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kolibri_sdk.model.provenance import Provenance
from kolibri_sdk.store.dialect import query_in_chunks
from kolibri_sdk.store.schema import decision, event, message, ruleset

__all__ = ["Live", "live"]

_FAILED = ("error", "timeout", "crash")
_PATIENCE = timedelta(days=7)  #: a change by a person within this time overrules the rule


@dataclass(frozen=True, slots=True)
class Live:
    """Counts of one version since a moment; ``wrote`` is on how many mails it wrote a record."""

    tried: int
    matches: int
    errors: int
    wrote: int
    overruled: int


def live(
    tx: sa.Connection, rule: str, digest: str, since: datetime, fields: Mapping[str, Sequence[str]]
) -> Live:
    """What this version said of the mails that came since, and what people changed again.

    Parameters
    ----------
    fields : mapping
        Entity → fields that it sets when it makes a record; those of a change are in its event.
    """
    verdicts = _verdicts(tx, rule, digest, since)
    wrote, overruled = _written(tx, rule, digest, since, fields)
    return Live(
        tried=_asked(tx, rule, digest, since) - verdicts.get("skipped", 0),
        matches=verdicts.get("match", 0),
        errors=sum(verdicts.get(one, 0) for one in _FAILED),
        wrote=wrote,
        overruled=overruled,
    )


def _asked(tx: sa.Connection, rule: str, digest: str, since: datetime) -> int:
    lists = [
        row.digest for row in tx.execute(sa.select(ruleset)) if [rule, digest] in list(row.rules)
    ]
    number = 0
    for chunk in query_in_chunks(lists):
        query = sa.select(sa.func.count()).where(
            message.c.ruleset.in_(chunk), message.c.stored_at >= since
        )
        number += tx.execute(query).scalar_one()
    return number


def _verdicts(tx: sa.Connection, rule: str, digest: str, since: datetime) -> dict[str, int]:
    # By the time of the mails, as `_asked` counts them: a decision may come a pass later.
    query = (
        sa.select(decision.c.verdict, sa.func.count())
        .join(message, message.c.id == decision.c.message)
        .where(
            decision.c.rule == rule,
            decision.c.digest == digest,
            decision.c.shadow.is_(False),
            message.c.stored_at >= since,
        )
        .group_by(decision.c.verdict)
    )
    return {row.verdict: row[1] for row in tx.execute(query)}


def _written(
    tx: sa.Connection, rule: str, digest: str, since: datetime, fields: Mapping[str, Sequence[str]]
) -> tuple[int, int]:
    """On how many mails it wrote a record, and of how many a person changed what it wrote."""
    cause = str(Provenance.by_rule(0, rule, digest)).replace("message:0", "message:%")
    query = sa.select(event).where(event.c.cause.like(cause), event.c.at >= since)
    written: dict[tuple[str, str], list[Any]] = {}
    for row in tx.execute(query.order_by(event.c.id)):
        written.setdefault((row.entity, row.record_key), []).append(row)
    mails = {row.cause for rows in written.values() for row in rows}
    overruled: set[str] = set()
    for chunk in query_in_chunks({key for _, key in written}):
        later = sa.select(event).where(
            event.c.record_key.in_(chunk),
            event.c.at >= since,
            sa.or_(event.c.cause.is_(None), event.c.cause.startswith("user:")),
            event.c.kind == "update",
        )
        for change in tx.execute(later):
            for row in written.get((change.entity, change.record_key), ()):
                soon = row.id < change.id and change.at <= row.at + _PATIENCE
                if soon and _set_by(row, fields) & _changed(change):
                    overruled.add(row.cause)
    return len(mails), len(overruled)


def _set_by(row: Any, fields: Mapping[str, Sequence[str]]) -> set[str]:
    return set(fields.get(row.entity, ())) if row.kind == "insert" else _changed(row)


def _changed(row: Any) -> set[str]:
    before, after = row.before or {}, row.after or {}
    return {name for name, value in after.items() if value != before.get(name)}
