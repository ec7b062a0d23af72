"""A user of the system: an address, a language, groups (S8)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["User"]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody the system knows.

    Examples
    --------
    >>> User("anna", "anna@example.org", language="de").language
    'de'
    """

    id: str
    address: str
    name: str = ""
    language: str | None = None
    groups: tuple[str, ...] = ()
