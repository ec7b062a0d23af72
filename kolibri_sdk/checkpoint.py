"""Named points in every write path, where a test can interrupt; in production they do nothing."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["observe", "reach"]

_observers: list[Callable[[str], None]] = []


def reach(name: str) -> None:
    """Say that the work has come to this point, such as ``"store.before_commit"``."""
    for observer in _observers:
        observer(name)


def observe(observer: Callable[[str], None] | None) -> None:
    """Have this function called with the name of every point reached; None ends it."""
    _observers[:] = [observer] if observer is not None else []
