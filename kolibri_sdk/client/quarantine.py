"""``k.quarantine``: mails that lie on a server and are not in the table, and taking them in."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import QUARANTINE, frame_of
from kolibri_sdk.pipeline import System
from kolibri_sdk.store import quarantine

__all__ = ["Quarantine"]

_USUAL = ("quarantined", "failing")


class Quarantine:
    """The mails that cannot be fetched, and those that were left alone on purpose.

    Examples
    --------
    >>> k.quarantine.frame()                                        # doctest: +SKIP
    >>> k.quarantine.release("support", uids=["4711"])              # doctest: +SKIP
    1
    >>> k.quarantine.release("support", state="passed_over")        # doctest: +SKIP
    312
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self, *, mailbox: str | None = None, state: str | None = None) -> pd.DataFrame:
        """One row per mail; columns and dtypes as in ``kolibri_sdk.frames.QUARANTINE``.

        Parameters
        ----------
        mailbox : str, optional
            Only this one's.
        state : str, optional
            ``quarantined``, ``failing``, ``passed_over`` or ``too_old``; the first two by default.
        """
        name = self._system.mailbox(mailbox).name if mailbox is not None else None
        with self._system.store.read() as tx:
            return frame_of(quarantine.select(tx, _states(state), mailbox=name), QUARANTINE)

    def release(
        self,
        mailbox: str,
        *,
        uids: Sequence[str] | None = None,
        folder: str | None = None,
        state: str | None = None,
    ) -> int:
        """Have the next pass fetch these mails, all of the state by default; how many.

        Raises
        ------
        NotFound
            When there is no such mailbox, or none of the mails is there.
        """
        name = self._system.mailbox(mailbox).name
        with self._system.store.write() as tx:
            number = quarantine.release(tx, name, _states(state), folder=folder, uids=uids)
        if not number and uids is not None:
            raise NotFound(
                f"Mailbox {name}: no mail {', '.join(uids)} waits to be released",
                "`kolibri quarantine list` shows those that do",
            )
        return number

    def __repr__(self) -> str:
        with self._system.store.read() as tx:
            counts = quarantine.count(tx)
        told = ", ".join(f"{number} of {mailbox}" for mailbox, number in counts.items())
        return f"<quarantine: {told or 'empty'}>"


def _states(state: str | None) -> tuple[str, ...]:
    if state is None:
        return _USUAL
    if state not in quarantine.STATES:
        raise ConfigurationError(
            f"There is no state {state!r}", f"Say {', '.join(quarantine.STATES)}"
        )
    return (state,)
