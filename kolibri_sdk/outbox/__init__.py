"""The outbox: mail is queued in the causing transaction, composed, claimed, sent and settled."""

from __future__ import annotations

from kolibri_sdk.outbox.bounces import clear_bounced, settle_bounces
from kolibri_sdk.outbox.enqueue import MailRequest, Queued, enqueue
from kolibri_sdk.outbox.hold import cancel, release
from kolibri_sdk.outbox.provoked import Provoked
from kolibri_sdk.outbox.recipients import Directory, Dropped, Person, Resolved, resolve, resolve_in
from kolibri_sdk.outbox.rendering import Composed, compose_anew, compose_items, save_composed
from kolibri_sdk.outbox.settle import (
    MOST_ATTEMPTS,
    find_uncertain,
    open_recipients,
    owner,
    settle,
    settle_error,
)

__all__ = [
    "MOST_ATTEMPTS",
    "Composed",
    "Directory",
    "Dropped",
    "MailRequest",
    "Person",
    "Provoked",
    "Queued",
    "Resolved",
    "cancel",
    "clear_bounced",
    "compose_anew",
    "compose_items",
    "enqueue",
    "find_uncertain",
    "open_recipients",
    "owner",
    "release",
    "resolve",
    "resolve_in",
    "save_composed",
    "settle",
    "settle_bounces",
    "settle_error",
]
