"""The only place that runs somebody's code: JavaScript expressions and Jinja templates."""

from __future__ import annotations

from kolibri_sdk.sandbox.reading import fields_read
from kolibri_sdk.sandbox.sandbox import Sandbox
from kolibri_sdk.sandbox.values import (
    Finding,
    Inspection,
    Outcome,
    Part,
    Rendered,
    RenderJob,
    Script,
    ScriptFault,
)

__all__ = [
    "Finding",
    "Inspection",
    "Outcome",
    "Part",
    "RenderJob",
    "Rendered",
    "Sandbox",
    "Script",
    "ScriptFault",
    "fields_read",
]
