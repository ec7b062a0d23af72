"""The way of a mail through the house, stage by stage; one pass, and many."""

from __future__ import annotations

from kolibri_sdk.pipeline.passes import run_pass, run_passes
from kolibri_sdk.pipeline.report import COUNTS, PassReport
from kolibri_sdk.pipeline.system import System, open_system

__all__ = ["COUNTS", "PassReport", "System", "open_system", "run_pass", "run_passes"]
