"""What the poller notebook is made of: its parameters, checked, and its report."""

from __future__ import annotations

from kolibri_sdk.notebook.parameters import PollerParameters, poller_parameters
from kolibri_sdk.notebook.report import RunReport

__all__ = ["PollerParameters", "RunReport", "poller_parameters"]
