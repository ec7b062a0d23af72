"""The parameters of the poller notebook: papermill takes any name and any value, we do not."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from kolibri_sdk.client import Kolibri, RulesWarning, connect
from kolibri_sdk.errors import ConfigurationError

__all__ = ["PollerParameters", "poller_parameters"]


@dataclass(frozen=True, slots=True)
class PollerParameters:
    """What a run of the poller notebook is told.

    Attributes
    ----------
    database : str or None
        SQLAlchemy URL; None: what ``kolibri.toml`` or ``KOLIBRI_DATABASE`` says.
    rules : str or None
        Folder of the rules; None: what ``kolibri.toml`` or ``KOLIBRI_RULES`` says.
    mailboxes : list of str or None
        Only these; None: all.
    every : float or None
        Seconds from the start of a pass to the start of the next; None: as ``kolibri.toml`` says.
    passes : int
        How many passes the run makes.
    """

    database: str | None
    rules: str | None
    mailboxes: list[str] | None
    every: float | None
    passes: int

    def connect(self) -> Kolibri:
        """Open the project; faults in its rules are printed, one a line.

        Raises
        ------
        ConfigurationError
            As ``kolibri_sdk.connect`` does.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RulesWarning)
            kolibri = connect(self.database, rules=self.rules)
        for problem in kolibri.problems:
            print(problem)
        return kolibri


#: What each parameter may be: in words, and as a test.
_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "database": (
        "a database URL in quotes such as 'sqlite:///kolibri.db', or None",
        lambda value: value is None or _is_text(value),
    ),
    "rules": (
        "the path of a folder in quotes such as 'rules', or None",
        lambda value: value is None or _is_text(value),
    ),
    "mailboxes": (
        "a list of names such as ['support', 'sales'], or None for all",
        lambda value: value is None or _is_list_of_names(value),
    ),
    "every": (
        "a number of seconds above 0 such as 30, or None",
        lambda value: value is None or (_is_number(value, int | float) and value > 0),
    ),
    "passes": (
        "a whole number above 0 such as 120",
        lambda value: _is_number(value, int) and value > 0,
    ),
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def poller_parameters(namespace: Mapping[str, Any]) -> PollerParameters:
    """The parameters among a notebook's variables, or an error that names each wrong one.

    Parameters
    ----------
    namespace : mapping of str to object
        ``globals()`` of the notebook. A text for ``mailboxes`` is taken as names between commas,
        because ``papermill -p`` cannot pass a list.

    Raises
    ------
    ConfigurationError
        When papermill has injected a name that is no parameter, or a value is of the wrong type.

    Examples
    --------
    >>> given = {"database": None, "rules": None, "every": 30, "passes": 2}
    >>> poller_parameters({**given, "mailboxes": "support, sales"}).mailboxes
    ['support', 'sales']
    >>> poller_parameters({**given, "mailboxes": None, "passes": "two"})
    Traceback (most recent call last):
    kolibri_sdk.errors.ConfigurationError: The notebook cannot run with these parameters...
    """
    names = [field.name for field in fields(PollerParameters)]
    values: dict[str, Any] = {name: namespace.get(name) for name in names}
    if isinstance(values["mailboxes"], str):
        values["mailboxes"] = [name.strip() for name in values["mailboxes"].split(",")]
    mistakes = [*_unknown(namespace, names), *_mistyped(values)]
    if mistakes:
        raise ConfigurationError(
            "The notebook cannot run with these parameters:\n"
            + "\n".join(f"  {mistake}" for mistake in mistakes)
            + "\nIts parameters are: "
            + ", ".join(names)
        )
    return PollerParameters(**values)


def _mistyped(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        expected, is_right = _EXPECTED[name]
        if not is_right(value):
            given = repr(value) if len(repr(value)) < 80 else repr(value)[:79] + "…"
            yield f"{name}: expected {expected}; given {given} ({type(value).__name__})"


def _unknown(namespace: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    for name in _injected(namespace):
        if name not in names:
            near = get_close_matches(name, names, n=1)
            step = f"; did you mean {near[0]}?" if near else ""
            yield f"{name}: there is no such parameter{step}"


def _injected(namespace: Mapping[str, Any]) -> list[str]:
    """The names that papermill's own cell sets: it begins with ``# Parameters``."""
    cells = [source for source in namespace.get("In", ()) if source.startswith("# Parameters\n")]
    return [
        target.id
        for source in cells
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
