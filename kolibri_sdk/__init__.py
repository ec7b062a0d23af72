"""Kolibri SDK: service-desk e-mail for Jupyter.

``connect`` opens a project; from there everything is an attribute::

    from kolibri_sdk import connect

    k = connect()
    k.messages.frame(mailbox="support")
    for report in k.poll(passes=1):
        print(report)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kolibri_sdk.actions import ActionScene, action
    from kolibri_sdk.client import InboundRule, Kolibri, RulesWarning, connect, read_mail
    from kolibri_sdk.errors import (
        ActionError,
        ConfigurationError,
        KolibriError,
        MailboxError,
        NotFound,
        OperationalError,
        Problem,
        SandboxError,
        SendError,
        StoreError,
        TemplateError,
    )
    from kolibri_sdk.model.gates import Gates
    from kolibri_sdk.model.rule import OutboundRule
    from kolibri_sdk.pipeline import ImportReport, PassReport

__version__ = "0.1.0"

# Names are looked up when they are first used: the sandbox's child process imports this package
# too, and must not wait for pandas and SQLAlchemy.
_HOMES = {
    "ActionError": "errors",
    "ActionScene": "actions",
    "ConfigurationError": "errors",
    "Gates": "model.gates",
    "ImportReport": "pipeline",
    "InboundRule": "client",
    "Kolibri": "client",
    "KolibriError": "errors",
    "MailboxError": "errors",
    "NotFound": "errors",
    "OperationalError": "errors",
    "OutboundRule": "model.rule",
    "PassReport": "pipeline",
    "Problem": "errors",
    "RulesWarning": "client",
    "SandboxError": "errors",
    "SendError": "errors",
    "StoreError": "errors",
    "TemplateError": "errors",
    "action": "actions",
    "connect": "client",
    "read_mail": "client",
}

__all__ = [
    "ActionError",
    "ActionScene",
    "ConfigurationError",
    "Gates",
    "ImportReport",
    "InboundRule",
    "Kolibri",
    "KolibriError",
    "MailboxError",
    "NotFound",
    "OperationalError",
    "OutboundRule",
    "PassReport",
    "Problem",
    "RulesWarning",
    "SandboxError",
    "SendError",
    "StoreError",
    "TemplateError",
    "action",
    "connect",
    "read_mail",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kolibri_sdk' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kolibri_sdk.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
