"""What is wrong with a mail, collected while it is read."""

from __future__ import annotations

from collections.abc import Callable

from kolibri_sdk.clock import cpu_stopwatch
from kolibri_sdk.mail.limits import LIMITS

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

    __slots__ = ("_elapsed", "_found", "exceeded")

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self._elapsed: Callable[[], float] | None = None
        self.exceeded: str = ""  #: the first limit that the mail exceeds, in words

    def note(self, defect: str | None) -> None:
        """Remember a defect; ``None`` is none."""
        if defect and len(self._found) < _MOST:
            self._found[defect] = None

    def exceed(self, limit: float, of: str) -> None:
        """Remember that the mail goes beyond a limit and what lies beyond is not read.

        Examples
        --------
        >>> defects = Defects()
        >>> defects.exceed(1_000, "parts"); defects.exceeded
        'exceeds the limit of 1,000 parts'
        """
        defect = f"exceeds the limit of {limit:,} {of}"
        self._found[defect] = None
        self.exceeded = self.exceeded or defect

    def out_of_time(self) -> bool:
        """Whether reading has taken as long as it may since this was first asked.

        It is asked before each part but the first: a mail of one part has none to be left out.
        """
        if self._elapsed is None:
            self._elapsed = cpu_stopwatch()
        late = self._elapsed() > LIMITS.seconds
        if late:
            self.exceed(LIMITS.seconds, "seconds of computing")
        return late

    @property
    def found(self) -> tuple[str, ...]:
        """The defects in the order in which they were met, each once."""
        return tuple(self._found)
