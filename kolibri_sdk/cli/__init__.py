"""The ``kolibri`` command: its groups of commands, and the exit codes they share."""

from __future__ import annotations

from kolibri_sdk.cli import (
    apply,
    backtest,
    bounced,
    demonstrate,
    history,
    lab,
    mail,
    mailbox,
    poller,
    project,
    quarantine,
    reconcile,
    reference,
    rules,
    suggestions,
)
from kolibri_sdk.cli.application import app

__all__ = [
    "app",
    "apply",
    "backtest",
    "bounced",
    "demonstrate",
    "history",
    "lab",
    "mail",
    "mailbox",
    "poller",
    "project",
    "quarantine",
    "reconcile",
    "reference",
    "rules",
    "suggestions",
]
