"""The outbox: mail is queued in the causing transaction, composed, claimed, sent and settled."""

from __future__ import annotations

from kolibri_sdk.outbox.bounces import clear_bounced, settle_bounces
from kolibri_sdk.outbox.caps import WINDOW as HOUR
from kolibri_sdk.outbox.enqueue import Bulk, MailRequest, Queued, enqueue, enqueue_all
from kolibri_sdk.outbox.evidence import confirm, look_again, prove, told_by_mail
from kolibri_sdk.outbox.hold import cancel, release, retry
from kolibri_sdk.outbox.letter import BY_HAND, Letter, bytes_of, compose_again, post
from kolibri_sdk.outbox.provoked import Provoked
from kolibri_sdk.outbox.recipients import (
    NOBODY,
    Directory,
    Dropped,
    Person,
    Resolved,
    StoredUsers,
    faulty_recipient,
    named_in,
    resolve,
    resolve_in,
    resolve_values,
)
from kolibri_sdk.outbox.rendering import Composed, compose_anew, compose_items, save_composed
from kolibri_sdk.outbox.settle import (
    MOST_ATTEMPTS,
    find_uncertain,
    open_recipients,
    owner,
    settle,
    settle_error,
)
from kolibri_sdk.outbox.signature import Signature, signature_of

__all__ = [
    "BY_HAND",
    "HOUR",
    "MOST_ATTEMPTS",
    "NOBODY",
    "Bulk",
    "Composed",
    "Directory",
    "Dropped",
    "Letter",
    "MailRequest",
    "Person",
    "Provoked",
    "Queued",
    "Resolved",
    "Signature",
    "StoredUsers",
    "bytes_of",
    "cancel",
    "clear_bounced",
    "compose_again",
    "compose_anew",
    "compose_items",
    "confirm",
    "enqueue",
    "enqueue_all",
    "faulty_recipient",
    "find_uncertain",
    "look_again",
    "named_in",
    "open_recipients",
    "owner",
    "post",
    "prove",
    "release",
    "resolve",
    "resolve_in",
    "resolve_values",
    "retry",
    "save_composed",
    "settle",
    "settle_bounces",
    "settle_error",
    "signature_of",
    "told_by_mail",
]
