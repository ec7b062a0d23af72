"""Who works: this process by a name of its own, and whether the one behind such a name is alive."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

__all__ = ["begin", "end", "identity", "is_alive", "named"]

_numbers = count(1)
_at_work: set[str] = set()  # what this process has begun and not ended


def identity() -> str:
    """Name this process by machine, number and start, so that nobody else is taken for it.

    Two containers may share a host name and have a process of the same number, so the machine is
    the host name and the number of the process namespace.
    """
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}"


def begin() -> str:
    """Begin a piece of work: this process, and a number that tells its threads apart."""
    name = f"{identity()}:{next(_numbers)}"
    _at_work.add(name)
    return name


def end(name: str) -> None:
    """End it, well or not."""
    _at_work.discard(name)


def is_alive(who: str) -> bool | None:
    """Whether a process, or the piece of work that it began, goes on; None: on another machine."""
    machine, _, rest = who.partition(":")
    if machine != _machine():
        return None
    number, _, rest = rest.partition(":")
    started, piece, _ = rest.partition(":")
    if not number.isdecimal() or _started(int(number)) != started:
        return False
    return not piece or int(number) != os.getpid() or who in _at_work


def named(who: str) -> str:
    """An identity in words, for messages.

    Examples
    --------
    >>> named("mail1.4026531836:4711:88")
    'process 4711 on mail1'
    """
    machine, _, rest = who.partition(":")
    return f"process {rest.partition(':')[0]} on {machine.rpartition('.')[0] or machine}"


def _machine() -> str:
    namespace = 0
    with suppress(OSError):
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{socket.gethostname().replace(':', '-')}.{namespace}"


def _started(number: int) -> str:
    """When a process began; empty where there is none.

    Linux counts in ticks since the machine's start, which a clock that is set does not change.
    """
    with suppress(OSError, IndexError):
        return (
            Path(f"/proc/{number}/stat")
            .read_text("ascii", "replace")
            .rpartition(")")[2]
            .split()[19]
        )
    with suppress(psutil.Error):
        return str(int(psutil.Process(number).create_time()))
    return ""
