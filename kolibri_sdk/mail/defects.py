"""What is wrong with a mail, collected while it is read."""

from __future__ import annotations

__all__ = ["Defects"]

_MOST = 50


class Defects:
    """An ordered set of sentences, bounded so that a hostile mail cannot fill the database.

    Examples
    --------
    >>> defects = Defects()
    >>> defects.note("no Date"); defects.note("no Date"); defects.note(None)
    >>> defects.found
    ('no Date',)
    """

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def note(self, defect: str | None) -> None:
        """Remember a defect; ``None`` is none."""
        if defect and len(self._found) < _MOST:
            self._found[defect] = None

    @property
    def found(self) -> tuple[str, ...]:
        """The defects in the order in which they were met, each once."""
        return tuple(self._found)
