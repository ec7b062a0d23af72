"""Actions written in Python: registered by name, called by a rule with ``- call:`` (S25)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kolibri_sdk.errors import ConfigurationError, NotFound

__all__ = ["action", "find", "registered"]

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


def registered() -> Mapping[str, Callable[..., Any]]:
    """All actions by name."""
    return dict(_actions)


def find(name: str) -> Callable[..., Any]:
    """The action of this name, or NotFound with near names."""
    try:
        return _actions[name]
    except KeyError:
        raise NotFound.named("action", name, list(_actions)) from None
