"""Measure speed as ratios: all of it takes some six minutes, one benchmark alone far less.

Results of benchmarks that are not run stay as they are in latest.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from tests.benchmarks.history import measure_history
from tests.benchmarks.idle import measure_idle
from tests.benchmarks.ingest import measure_ingest
from tests.benchmarks.measure import LATEST, Result, Settings, table, write
from tests.benchmarks.memory import measure_memory
from tests.benchmarks.notices import measure_notices
from tests.benchmarks.parser import measure_parser
from tests.benchmarks.rendering import measure_rendering
from tests.benchmarks.sending import measure_sending
from tests.benchmarks.servers import measure_servers

#: In this order; each returns its results.
BENCHMARKS: dict[str, Callable[[Settings], list[Result]]] = {
    "parser": measure_parser,
    "ingest": measure_ingest,
    "servers": measure_servers,
    "sending": measure_sending,
    "memory": measure_memory,
    "idle": measure_idle,
    "history": measure_history,
    "rendering": measure_rendering,
    "notices": measure_notices,
}
_MINUTES = 8.0


def main() -> None:
    """Measure, print a table, and keep the figures."""
    usage = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    usage.add_argument(
        "--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS)
    )
    usage.add_argument("--mails", type=int, default=Settings.mails, help="to be ingested")
    usage.add_argument("--rounds", type=int, default=Settings.rounds)
    usage.add_argument("--minutes", type=float, default=_MINUTES, help="start none after these")
    chosen = usage.parse_args()
    settings = Settings(mails=chosen.mails, rounds=chosen.rounds)
    started = time.monotonic()
    results: list[Result] = []
    for name in chosen.only or BENCHMARKS:
        elapsed = (time.monotonic() - started) / 60
        if elapsed >= chosen.minutes:
            print(f"{name}: not run, {elapsed:.0f} minutes are over")
            continue
        print(f"{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        found = BENCHMARKS[name](settings)
        write(found)
        results += found
    print(f"\n{table(results)}\n\nwritten to {LATEST.name}")


if __name__ == "__main__":
    main()
