"""The poller's peak memory while it takes in a large mailbox, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from kolibri_sdk import connect
from tests.benchmarks.ingest import filled
from tests.benchmarks.measure import Result, Settings
from tests.benchmarks.project import server, write_project

__all__ = ["measure_memory"]

_MAILS = 10_000
_MEGABYTE = 2**20
_LIMIT = 250  # megabytes


def measure_memory(_: Settings) -> list[Result]:
    """10,000 mails of 27 KB in one pass: the resident memory at its peak, of the 250 MB allowed.

    Counted is the poller; its sandbox processes are told beside it.
    """
    with server() as dovecot, tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        user = filled(dovecot, _MAILS)
        write_project(Path(folder), dovecot.inbound(user, security="none"))
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.memory", folder],
            check=True,
            capture_output=True,
            text=True,
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["stored"] == _MAILS, answer
    print(
        f"  poller {answer['poller']:.0f} MB ({answer['idle']:.0f} MB before the pass), "
        f"its sandbox {answer['sandbox']:.0f} MB"
    )
    return [Result.of("incoming", "ingest_peak_of_250_mb", [answer["poller"] / _LIMIT], 1, "lower")]


def _poll(project: Path) -> dict[str, float]:
    """One pass, with the peaks of this process and of its children, in megabytes."""
    poller, peaks = psutil.Process(), {"poller": 0.0, "sandbox": 0.0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            peaks["poller"] = max(peaks["poller"], poller.memory_info().rss / _MEGABYTE)
            children = sum(child.memory_info().rss for child in poller.children(recursive=True))
            peaks["sandbox"] = max(peaks["sandbox"], children / _MEGABYTE)

    with connect(project=project) as k:
        k.check()
        idle = poller.memory_info().rss / _MEGABYTE
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        started = time.perf_counter()
        (report,) = k.poll(passes=1, every=0)
        taken = time.perf_counter() - started
        over.set()
        watcher.join()
    assert report.ok, report.errors
    return {**peaks, "idle": idle, "stored": report.counts["stored"], "seconds": taken}


if __name__ == "__main__":
    print(json.dumps(_poll(Path(sys.argv[1]))))
