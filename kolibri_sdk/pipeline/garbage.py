"""Python's garbage collector, kept waiting while a batch of mails is at work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["waiting"]


@contextmanager
def waiting() -> Iterator[None]:
    """Nothing is collected within the block, unless by hand; what is garbage is at once after it.

    A batch is tens of thousands of objects that live until it is saved, and are freed then without
    the collector. Yet so many make it search all that the process holds, again and again, which
    takes a tenth of a pass, and more in a notebook that holds much.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
