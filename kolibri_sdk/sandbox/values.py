"""What goes into the sandbox and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Finding",
    "Inspection",
    "Outcome",
    "Part",
    "RenderJob",
    "Rendered",
    "Script",
    "ScriptFault",
    "Status",
]

Status = Literal["ok", "error", "timeout", "crash"]


@dataclass(frozen=True, slots=True)
class Script:
    """One JavaScript expression.

    Parameters
    ----------
    id : str
        Names it in the results, such as ``create-incident/when``; unique within one call.
    source : str
        The expression; it may span lines. Statements, and anything that would reach out of the
        brackets it is put into, are syntax errors.
    expects : {"boolean", "value", "recipients"}
        ``boolean``: true or false, anything else is an error. ``value``: plain JSON data.
        ``recipients``: the same, but ``undefined`` is an error, too.
    """

    id: str
    source: str
    expects: Literal["boolean", "value", "recipients"] = "boolean"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one script gave for one input.

    Parameters
    ----------
    status : {"ok", "error", "timeout", "crash"}
        ``timeout`` and ``crash`` mean that this script on this input cost a sandbox process.
    value : object
        True, False, or plain JSON data; None unless the status is ``ok``.
    error : str
        What happened, such as ``TypeError: …`` or ``gave 3, not true or false``.
    line, column : int or None
        Where in ``Script.source``, counted from 1.
    micros : float
        Microseconds. V8's clock ticks in milliseconds, so what is quicker than two of them carries
        the mean of its script over the batch.
    """

    status: Status
    value: Any = None
    error: str = ""
    line: int | None = None
    column: int | None = None
    micros: float = 0.0


@dataclass(frozen=True, slots=True)
class ScriptFault:
    """Why a script or a template cannot be compiled; line and column are counted from 1."""

    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One template to be rendered.

    Parameters
    ----------
    sources : mapping of str to str
        Every template that ``include``, ``import`` and ``extends`` may reach: name to Jinja source.
    name : str
        The one to render.
    context : mapping
        Plain JSON data; the templates see its keys as variables.
    html : bool
        Escape values for HTML.
    language : str
        How the filters (``date``, ``number``, …) write, such as ``de`` or ``de-AT``.
    zone : str
        In which times are told, such as ``Europe/Vienna``; without it in the offset they carry.
    now : str
        What ``ago`` counts from, in ISO 8601; there is no clock in the sandbox.
    images : mapping of str to str
        What ``image("logo.png")`` gives, by name: a ``cid:`` address.
    """

    sources: Mapping[str, str]
    name: str
    context: Mapping[str, Any]
    html: bool = False
    language: str = "en"
    zone: str = ""
    now: str = ""
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered text, or the template and line at which it failed."""

    status: Status
    text: str = ""
    error: str = ""
    template: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an expression: a leaf, or leaves joined by ``&&``, ``||``, ``!`` or ``?:``.

    Parameters
    ----------
    kind : {"and", "or", "not", "if", "leaf", "opaque"}
        ``if`` has test, then and else as parts; ``opaque`` is a leaf that cannot be looked into.
    text : str
        Its source.
    line, column : int
        Where it begins in the expression, counted from 1.
    parts : tuple of Part
        What is joined.
    seen : tuple of str
        For a leaf: what it reads of its variables, such as ``message.subject``.
    """

    kind: Literal["and", "or", "not", "if", "leaf", "opaque"]
    text: str
    line: int
    column: int
    parts: tuple[Part, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def leaves(self) -> tuple[Part, ...]:
        """All leaves below it, in their order; of a leaf, itself."""
        if not self.parts:
            return (self,)
        return tuple(leaf for part in self.parts for leaf in part.leaves)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is likely a mistake in an expression that can be compiled, and its mend."""

    message: str
    mend: str
    line: int
    column: int
    severity: Literal["error", "warning"] = "warning"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What looking at an expression shows; of one that cannot be compiled, nothing."""

    tree: Part | None = None
    findings: tuple[Finding, ...] = ()
