"""The way of a mail through the house, stage by stage; one pass, and many."""

from __future__ import annotations

from kolibri_sdk.pipeline.applying import Applied, applicable, apply_rule, silent
from kolibri_sdk.pipeline.difference import Difference, Reason, ReconcileReport
from kolibri_sdk.pipeline.drift import Drift, drift_alarms, drift_of
from kolibri_sdk.pipeline.grants import log_in
from kolibri_sdk.pipeline.import_report import IMPORT_COUNTS, ImportReport
from kolibri_sdk.pipeline.import_sources import ArchiveToImport, FoldersToImport, ImportSource
from kolibri_sdk.pipeline.imports import import_mails
from kolibri_sdk.pipeline.in_force import rules_in_force, unproven
from kolibri_sdk.pipeline.passes import run_pass, run_passes
from kolibri_sdk.pipeline.reconcile import hold_after_restore, reconcile
from kolibri_sdk.pipeline.releases import Origin
from kolibri_sdk.pipeline.report import COUNTS, PassReport
from kolibri_sdk.pipeline.system import System, open_system
from kolibri_sdk.pipeline.writing import Asked, Written, write

__all__ = [
    "COUNTS",
    "IMPORT_COUNTS",
    "Applied",
    "ArchiveToImport",
    "Asked",
    "Difference",
    "Drift",
    "FoldersToImport",
    "ImportReport",
    "ImportSource",
    "Origin",
    "PassReport",
    "Reason",
    "ReconcileReport",
    "System",
    "Written",
    "applicable",
    "apply_rule",
    "drift_alarms",
    "drift_of",
    "hold_after_restore",
    "import_mails",
    "log_in",
    "open_system",
    "reconcile",
    "rules_in_force",
    "run_pass",
    "run_passes",
    "silent",
    "unproven",
    "write",
]
