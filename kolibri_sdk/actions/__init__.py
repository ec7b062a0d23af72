"""What rules do: records, notes, mails, Python functions, all in the message's own transaction."""

from __future__ import annotations

from kolibri_sdk.actions.carry_out import carry_out, values_of
from kolibri_sdk.actions.notice import digest_request, notice_request, sending, unwanted
from kolibri_sdk.actions.registry import action, check_actions, load_actions, registered
from kolibri_sdk.actions.scene import ActionScene, automatic_senders, template_context

__all__ = [
    "ActionScene",
    "action",
    "automatic_senders",
    "carry_out",
    "check_actions",
    "digest_request",
    "load_actions",
    "notice_request",
    "registered",
    "sending",
    "template_context",
    "unwanted",
    "values_of",
]
