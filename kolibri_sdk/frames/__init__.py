"""Rows ↔ DataFrames: every frame that the SDK hands out, and mails from a frame back to values."""

from __future__ import annotations

from kolibri_sdk.frames.changes import change_frame, events_of
from kolibri_sdk.frames.columns import (
    ACTIVITY,
    BOUNCED,
    CHANGES,
    DECISIONS,
    MESSAGES,
    OUTBOX,
    QUARANTINE,
    REFERENCE_KEYS,
    RUNS,
    SUGGESTIONS,
    USERS,
    FrameColumn,
)
from kolibri_sdk.frames.frame import frame_of
from kolibri_sdk.frames.mails import chosen_columns, mail_frame, messages_of, stored_columns
from kolibri_sdk.frames.releases import (
    APPLICATIONS,
    BACKTESTS,
    DRIFT,
    GATES,
    GOLDEN,
    GOLDEN_PASSED_OVER,
    RELEASES,
)
from kolibri_sdk.frames.trials import (
    RULE_VERSIONS,
    TRIAL_CHANGES,
    TRIAL_CONFLICTS,
    TRIAL_DECISIONS,
    TRIAL_EFFECTS,
    TRIAL_ERRORS,
    TRIAL_LEFT_OUT,
    TRIAL_MATRIX,
    TRIAL_MEASURES,
    TRIAL_PAIRS,
    TRIAL_SUMMARY,
)

__all__ = [
    "ACTIVITY",
    "APPLICATIONS",
    "BACKTESTS",
    "BOUNCED",
    "CHANGES",
    "DECISIONS",
    "DRIFT",
    "GATES",
    "GOLDEN",
    "GOLDEN_PASSED_OVER",
    "MESSAGES",
    "OUTBOX",
    "QUARANTINE",
    "REFERENCE_KEYS",
    "RELEASES",
    "RULE_VERSIONS",
    "RUNS",
    "SUGGESTIONS",
    "TRIAL_CHANGES",
    "TRIAL_CONFLICTS",
    "TRIAL_DECISIONS",
    "TRIAL_EFFECTS",
    "TRIAL_ERRORS",
    "TRIAL_LEFT_OUT",
    "TRIAL_MATRIX",
    "TRIAL_MEASURES",
    "TRIAL_PAIRS",
    "TRIAL_SUMMARY",
    "USERS",
    "FrameColumn",
    "change_frame",
    "chosen_columns",
    "events_of",
    "frame_of",
    "mail_frame",
    "messages_of",
    "stored_columns",
]
