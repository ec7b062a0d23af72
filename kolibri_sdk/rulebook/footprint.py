"""Whether anything in ``rules/`` has changed since it was read, told without reading it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kolibri_sdk import clock

__all__ = ["footprint"]

_READ = (".yaml", ".yml", ".j2")
_TICK_NS = 2_000_000_000  #: file systems tell times apart that are so far from each other
_File = tuple[str, int, int, int]


def footprint(folder: Path) -> tuple[_File, ...] | None:
    """Names, times and sizes of everything that a rulebook is made of.

    Two that are equal mean that nothing has changed in between. None where that cannot be told:
    a file was written just now, and could be again within the same tick of its file system's
    clock; or the folder cannot be read.
    """
    try:
        found = tuple(sorted(_files(str(folder))))
    except OSError:
        return None
    latest = max((written for _, written, _, _ in found), default=0)
    now = int(clock.now().timestamp() * 1_000_000_000)
    return found if latest < now - _TICK_NS else None


def _files(folder: str) -> Iterator[_File]:
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    facts = entry.stat()
                    yield entry.path, facts.st_mtime_ns, 0, facts.st_ino
                    folders.append(entry.path)
                elif entry.name.endswith(_READ) or entry.is_symlink():
                    facts = entry.stat()
                    if stat.S_ISREG(facts.st_mode):
                        yield entry.path, facts.st_mtime_ns, facts.st_size, facts.st_ino
