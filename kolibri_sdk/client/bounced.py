"""``k.bounced``: the addresses that mails of ours came back from."""

from __future__ import annotations

import pandas as pd

from kolibri_sdk.errors import NotFound
from kolibri_sdk.frames import BOUNCED, frame_of
from kolibri_sdk.outbox import clear_bounced
from kolibri_sdk.pipeline import System
from kolibri_sdk.store import bounced

__all__ = ["Bounced"]


class Bounced:
    """Addresses with what bounces said of them; automatic mail to those with a mark is held.

    Examples
    --------
    >>> k.bounced.frame()                                           # doctest: +SKIP
    >>> k.bounced.clear("anna@example.org", release=True)           # doctest: +SKIP
    [4711]
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self) -> pd.DataFrame:
        """One row per address; columns and dtypes as in ``kolibri_sdk.frames.BOUNCED``."""
        with self._system.store.read() as tx:
            return frame_of(bounced.select(tx), BOUNCED)

    def clear(self, address: str, *, release: bool = False) -> list[int]:
        """Forget what came back from an address: automatic mail goes there again.

        Parameters
        ----------
        address : str
            In any case.
        release : bool
            Send what was held for it meanwhile, too.

        Returns
        -------
        list of int
            The outbox rows that go out in the next pass.

        Raises
        ------
        NotFound
            When no mail came back from this address.
        """
        with self._system.store.write() as tx:
            known, released = clear_bounced(tx, address, release=release)
            names = [] if known else [row["address"] for row in bounced.select(tx)]
        if not known:
            raise NotFound.named("bounced address", address, names)
        return released

    def __repr__(self) -> str:
        frame = self.frame()
        held = int(frame["since"].notna().sum())
        return f"<bounced addresses: {held} held, {len(frame) - held} counted>"
