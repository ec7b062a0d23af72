"""Which record is meant by now: one that was merged into another leads on to that one."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.model.reference import ReferenceHit
from kolibri_sdk.store import Tables

__all__ = ["MOST_MERGES", "Survivors"]

MOST_MERGES = 20  #: records of one chain that are followed


class Survivors:
    """The records that others were merged into; each is looked up once."""

    def __init__(self, tx: sa.Connection, tables: Tables) -> None:
        self._tx = tx
        self._tables = tables
        self._found: dict[RecordKey, RecordKey | None] = {}

    def of(self, record: RecordKey) -> RecordKey | None:
        """The record that this one was merged into, itself where it was not; None where it is gone.

        A chain is followed to its end, or to the last record that is there; a circle, which has no
        end, leaves the record where it is.
        """
        if record not in self._found:
            self._found[record] = self._follow(record)
        return self._found[record]

    def led_on(self, hit: ReferenceHit) -> list[ReferenceHit]:
        """The hit, on the record that lives on; nothing where it is gone."""
        survivor = self.of(hit.record)
        if survivor is None:
            return []
        if survivor == hit.record:
            return [hit]
        return [replace(hit, record=survivor, merged_from=hit.record)]

    def _follow(self, record: RecordKey) -> RecordKey | None:
        if self._tables.find(self._tx, record) is None:
            return None
        way = [record]
        while len(way) <= MOST_MERGES:
            following = self._next(way[-1])
            if following is None:
                return way[-1]
            if following in way:
                return record
            way.append(following)
        return record

    def _next(self, record: RecordKey) -> RecordKey | None:
        """The record that the field of this one points to, by key or by number."""
        name = self._tables.entity(record.entity).merged_into
        row = self._tables.find(self._tx, record) if name else None
        value = row.get(name) if row and name else None
        if value is None or value == "":
            return None
        by_key = RecordKey(entity=record.entity, key=str(value))
        if self._tables.find(self._tx, by_key) is not None:
            return by_key
        numbered = self._tables.of_numbers(self._tx, record.entity, [str(value)])
        return next((one for records in numbered.values() for one in records), None)
