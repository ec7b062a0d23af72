"""The operating system's limits around code that somebody else wrote."""

from __future__ import annotations

import math
import resource
import sys
import time
from pathlib import Path

__all__ = ["close_the_doors", "limit_processor_time"]

_MB = 2**20


def _data_in_use() -> int:
    """Bytes of private writable memory, as the kernel counts them for RLIMIT_DATA."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _lower(limit: int, value: int) -> None:
    resource.setrlimit(limit, (value, value))


def close_the_doors(memory_mb: int) -> None:
    """Give up, for good, what an expression or a template never needs.

    From here on this process opens no file and no socket, writes no file, starts no process,
    leaves no core dump, and holds at most ``memory_mb`` megabytes more than now.

    V8 reserves more than a terabyte of addresses, so RLIMIT_AS cannot bound it. RLIMIT_DATA counts
    pages when they become writable, typed arrays included. Where it does not work (it is Linux's),
    the parent's watch over resident memory does the same, a little later.
    """
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, _data_in_use() + memory_mb * _MB)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NPROC, 0)
    _lower(resource.RLIMIT_NOFILE, 0)


def limit_processor_time(seconds: float) -> None:
    """Let the kernel end this process when it computes that much longer, whoever watches or not."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))
