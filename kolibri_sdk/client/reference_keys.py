"""``k.reference_keys``: the keys that sign message references, never their secrets (S12)."""

from __future__ import annotations

import pandas as pd

from kolibri_sdk.frames import REFERENCE_KEYS, frame_of
from kolibri_sdk.pipeline import System
from kolibri_sdk.store import keys

__all__ = ["ReferenceKeys"]


class ReferenceKeys:
    """The keys; one signs, retired ones verify what they have signed, revoked ones nothing.

    Examples
    --------
    >>> k.reference_keys.rotate()                                   # doctest: +SKIP
    2
    """

    def __init__(self, system: System) -> None:
        self._system = system

    def frame(self) -> pd.DataFrame:
        """One row per key; columns and dtypes as in ``kolibri_sdk.frames.REFERENCE_KEYS``."""
        with self._system.store.read() as tx:
            return frame_of(keys.select(tx), REFERENCE_KEYS)

    def rotate(self) -> int:
        """Let a new key sign from now on; old mail stays valid. Its number.

        Raises
        ------
        StoreError
            When all numbers are used up: a token has room for 255.
        """
        with self._system.store.write() as tx:
            keys.current(tx)  # so that a desk's very first key is one that can be retired
            return keys.rotate(tx)

    def revoke(self, number: int) -> int:
        """Let what this key has signed prove nothing any more: it has leaked.

        A reply to a mail that it signed still finds its record by the id of that mail, which we
        remember, and by nothing else.

        Returns
        -------
        int
            The number of the key that signs from now on; a new one where this one did.

        Raises
        ------
        NotFound
            When there is no such key.
        """
        with self._system.store.write() as tx:
            return keys.revoke(tx, number)

    def __repr__(self) -> str:
        states = self.frame()["state"].value_counts()
        told = ", ".join(f"{number} {state}" for state, number in states.items())
        return f"<reference keys: {told or 'none yet'}>"
