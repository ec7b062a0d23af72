"""Actions written in Python: registered by name, called by a rule with ``- call:`` (S25)."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from kolibri_sdk.errors import ConfigurationError, NotFound, Problem
from kolibri_sdk.rulebook import Rulebook

__all__ = ["action", "check_actions", "find", "load_actions", "registered"]

Function = TypeVar("Function", bound=Callable[..., Any])
_actions: dict[str, Callable[..., Any]] = {}


def action(name: str) -> Callable[[Function], Function]:
    """Register a Python function as an action of rules.

    The function gets an ``ActionScene`` first, then the arguments of the rule's ``with:`` by
    name. It runs inside the message's transaction: what it writes by the scene is committed or
    rolled back with everything else the message causes. It must not reach outside (no HTTP, no
    SMTP): a rolled-back transaction could not take that back.

    Raises
    ------
    ConfigurationError
        When another function has the name already.

    Examples
    --------
    >>> @action("count-words")
    ... def count_words(scene, text):
    ...     scene.add_note(f"{len(text.split())} words")
    """

    def register(function: Function) -> Function:
        there = _actions.get(name)
        if there is not None and (there.__module__, there.__qualname__) != (
            function.__module__,
            function.__qualname__,
        ):
            raise ConfigurationError(
                f"The action {name!r} is registered twice", "Choose another name for one of them"
            )
        _actions[name] = function
        return function

    return register


def load_actions(file: Path) -> None:
    """Import a Python file that registers actions; a second time for one file does nothing.

    Raises
    ------
    ConfigurationError
        When it is not there, or raises on import.
    """
    name = f"kolibri_actions_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ConfigurationError(
            f"{file}, which kolibri.toml names as actions, is no Python file",
            "Correct actions = … in kolibri.toml, or delete the line",
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigurationError(
            f"{file} cannot be imported ({type(error).__name__}: {error})", "Correct the file"
        ) from error


def check_actions(rulebook: Rulebook) -> tuple[Problem, ...]:
    """A problem for every ``call`` of an action that nobody registered."""
    found = []
    for rule in rulebook.inbound_rules:
        for step, one in enumerate(rule.then):
            if one.call is None or one.call.name in _actions:
                continue
            near = get_close_matches(one.call.name, _actions, n=1)
            mend = (
                f"write {near[0]!r}"
                if near
                else "register it with @action in the file that actions = … in kolibri.toml names"
            )
            line, column = rulebook.place(rule.file, ("then", step, "call"))
            what = f"there is no action {one.call.name!r}"
            found.append(Problem(rule.file, what, mend, line=line, column=column))
    return tuple(found)


def registered() -> Mapping[str, Callable[..., Any]]:
    """All actions by name."""
    return dict(_actions)


def find(name: str) -> Callable[..., Any]:
    """The action of this name, or NotFound with near names."""
    try:
        return _actions[name]
    except KeyError:
        raise NotFound.named("action", name, list(_actions)) from None
