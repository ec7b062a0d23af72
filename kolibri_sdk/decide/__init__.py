"""Rules on messages and changes: the one evaluator of poller and lab; pure, nothing is written."""

from __future__ import annotations

from kolibri_sdk.decide.golden import check_examples, example_subject
from kolibri_sdk.decide.inbound import Subject, decide_messages
from kolibri_sdk.decide.outbound import (
    decide_again,
    decide_events,
    event_variables,
    outdated,
    triggered,
    triggers_of,
)

__all__ = [
    "Subject",
    "check_examples",
    "decide_again",
    "decide_events",
    "decide_messages",
    "event_variables",
    "example_subject",
    "outdated",
    "triggered",
    "triggers_of",
]
