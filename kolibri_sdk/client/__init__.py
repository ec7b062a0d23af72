"""The face of the SDK: ``connect`` gives ``Kolibri``, whose collections show and change things."""

from __future__ import annotations

from kolibri_sdk.client.applying import Application
from kolibri_sdk.client.history import read_mail
from kolibri_sdk.client.kolibri import Kolibri, RulesWarning, connect
from kolibri_sdk.client.trying import InboundRule, InboundRules

__all__ = [
    "Application",
    "InboundRule",
    "InboundRules",
    "Kolibri",
    "RulesWarning",
    "connect",
    "read_mail",
]
