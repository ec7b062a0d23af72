"""The database: the only place that speaks SQL.

``Store`` opens it; each module below holds the statements of one table and works on the
connection of a transaction: ``messages`` (with ``arrivals`` and ``message_rows``), ``blobs``,
``ledger``, ``records`` (tables of entities), ``imports``, ``capture`` (triggers and events),
``decisions``, ``outbox``, ``activity``, ``users``, ``runs``, ``bounced``, ``keys``,
``suggestions``, ``correspondence``, ``past`` (records as they were).
"""

from __future__ import annotations

from kolibri_sdk.store.column_values import as_plain
from kolibri_sdk.store.engine import Store
from kolibri_sdk.store.records import Tables
from kolibri_sdk.store.upgrade import require_current, schema_version, upgrade

__all__ = ["Store", "Tables", "as_plain", "require_current", "schema_version", "upgrade"]
