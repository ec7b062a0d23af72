"""The memory and the speed of importing historic mail, in a process of its own.

``python -m tests.benchmarks.history import FOLDER MBOX`` imports once more what it imported;
``python -m tests.benchmarks.history mbox FILE BYTES`` writes an mbox to try things on.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from kolibri_sdk import Kolibri, connect
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result, Settings
from tests.benchmarks.project import write_project

__all__ = ["HUGE", "LIMIT", "import_measured", "measure_history", "write_mbox"]

HUGE = 3 * 2**30  #: bytes of the mbox whose import has to stay within the limit
LIMIT = 250  #: megabytes
_BYTES = 200 * 2**20  #: of the mbox that a benchmark has time for
_POLLED = 2_000
_DISTINCT = 1_000
_MEGABYTE = 2**20


def measure_history(_: Settings) -> list[Result]:
    """Importing an mbox of 200 MB: its peak of the 250 MB allowed; a mail's CPU against a poll's.

    The poll takes such mails from a Maildir, with 50 rules; its sandbox is not counted.
    """
    with tempfile.TemporaryDirectory(prefix="kolibri-bench-") as folder:
        archive = Path(folder) / "old.mbox"
        count = write_mbox(archive, _BYTES)
        imported = import_measured(Path(folder), archive)
        assert imported["mails"] == count, imported
        polled = _polled(Path(folder))
        assert polled["mails"] == _POLLED, polled
    again = imported["mails"] / imported["seconds_again"]
    print(
        f"  import {count:,} mails: peak {imported['peak']:.0f} MB ({imported['idle']:.0f} MB "
        f"before it), {count / imported['seconds']:,.0f} mails/s, again {again:,.0f} mails/s; "
        f"poll {polled['mails'] / polled['seconds']:,.0f} mails/s"
    )
    cost = (imported["cpu"] / imported["mails"]) / (polled["cpu"] / polled["mails"])
    return [
        Result.of("scale", "import_peak_of_250_mb", [imported["peak"] / LIMIT], 1, "lower"),
        Result.of("scale", "import_vs_poll_cpu_per_mail", [cost], 1, "lower"),
    ]


def write_mbox(path: Path, size: int) -> int:
    """Write an mbox of at least so many bytes; how many mails, all of them different, it has.

    A thousand mails come again and again, each time with another Message-ID.
    """
    texts = [
        raw.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") for raw in mails(_DISTINCT)
    ]
    with path.open("wb") as file:
        for number in itertools.count():
            text = texts[number % _DISTINCT]
            file.write(b"From somebody@customer.example Mon Jan  5 08:00:00 2026\n")
            file.write(b"X-Copy: %d\n" % number)
            file.write(text.replace(b"Message-ID: <", b"Message-ID: <c%d." % number, 1) + b"\n")
            if file.tell() >= size:
                return number + 1
    raise AssertionError("counting ends")


def import_measured(folder: Path, archive: Path) -> dict[str, float]:
    """Import this archive into a new project below the folder, and once more.

    Peaks are in megabytes: ``peak`` of the process that imports, ``children`` of those it started.
    """
    root = folder / "import"
    root.mkdir()
    write_project(root, {"protocol": "maildir", "path": "mail"})
    return _run("import", root, archive)


def _polled(folder: Path) -> dict[str, float]:
    root = folder / "poll"
    for name in ("new", "cur", "tmp"):
        (root / "mail" / name).mkdir(parents=True)
    write_project(root, {"protocol": "maildir", "path": "mail", "fetch": "all"})
    for number, raw in enumerate(mails(_POLLED)):
        (root / "mail" / "new" / f"{1_777_000_000 + number}.M1.host").write_bytes(raw)
    return _run("poll", root)


def _run(*arguments: str | Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.history", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _measured(project: Path, work: Callable[[Kolibri], int]) -> dict[str, float]:
    """What the work counts, with the seconds it took and the peaks while it went on."""
    this, peaks = psutil.Process(), {"peak": 0.0, "children": 0.0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            peaks["peak"] = max(peaks["peak"], this.memory_info().rss / _MEGABYTE)
            children = sum(child.memory_info().rss for child in this.children(recursive=True))
            peaks["children"] = max(peaks["children"], children / _MEGABYTE)

    with connect(project=project) as k:
        idle = this.memory_info().rss / _MEGABYTE
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        wall, cpu = time.perf_counter(), time.process_time()
        count = work(k)
        taken = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        over.set()
        watcher.join()
    return {**peaks, **taken, "idle": idle, "mails": count}


def _import(project: Path, archive: Path) -> dict[str, float]:
    def work(k: Kolibri) -> int:
        report = k.import_mail(archive, mailbox="support", progress=False)
        assert report.ok, report.errors
        return report.counts["imported"] or report.counts["known"]

    first, again = _measured(project, work), _measured(project, work)
    assert first["mails"] == again["mails"]
    peak = max(first["peak"], again["peak"])
    return {**first, "peak": peak, "seconds_again": again["seconds"]}


def _poll(project: Path) -> dict[str, float]:
    def work(k: Kolibri) -> int:
        (report,) = k.poll(passes=1, every=0)
        assert report.ok, report.errors
        return report.counts["stored"]

    return _measured(project, work)


def _main(what: str, path: str, *more: str) -> Any:
    if what == "mbox":
        return write_mbox(Path(path), int(more[0]))
    return _import(Path(path), Path(more[0])) if what == "import" else _poll(Path(path))


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
