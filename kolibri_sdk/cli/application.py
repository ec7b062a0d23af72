"""The application that the commands register with: how errors leave it, and what they return."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from kolibri_sdk.cli.printing import complain
from kolibri_sdk.errors import ConfigurationError, KolibriError, NotFound

__all__ = ["FAILED", "WRONG_USAGE", "app"]

FAILED = 1
WRONG_USAGE = 2

_ORDER = (
    "demo",
    "init",
    "check",
    "poll",
    "schedule",
    "status",
    "lab",
    "backtest",
    "rules",
    "mailbox",
    "outbox",
    "quarantine",
    "reconcile",
    "bounced",
    "suggestions",
    "messages",
    "reference",
    "import",
    "upgrade",
    "version",
)
_EXIT_CODES = (
    "Exit codes: 0 all is well; 1 something failed while it ran, or needs a person, and was said; "
    "2 a setting, a file or the command itself is wrong."
)


class _Commands(TyperGroup):
    """Tells errors that Kolibri raises on purpose in plain words; a bug keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which one comes to need them."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # A subject may hold what the terminal's encoding has not.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except KolibriError as error:
            complain(str(error))
            wrong = isinstance(error, ConfigurationError | NotFound)
            raise typer.Exit(WRONG_USAGE if wrong else FAILED) from None


app = typer.Typer(
    name="kolibri",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Service-desk e-mail: mailboxes into one table, replies to their records, rules, answers.",
    epilog=_EXIT_CODES,
)
