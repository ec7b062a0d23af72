"""Run the benchmarks: ``python -m tests.benchmarks [--mails N] [--rounds N]``."""

from __future__ import annotations

import argparse
import os

from tests.benchmarks.incoming import measure_incoming
from tests.benchmarks.measure import LATEST, write
from tests.servers.dovecot import PASSWORD_VARIABLE, running_dovecot


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    # imaplib's LOGIN, which the peer uses, knows ASCII passwords only.
    os.environ[PASSWORD_VARIABLE] = "plain-password"
    with running_dovecot(os.environ[PASSWORD_VARIABLE]) as dovecot:
        print(f"incoming: {chosen.mails} mails, {chosen.rounds} rounds")
        results = measure_incoming(dovecot, chosen.mails, chosen.rounds)
    for result in results:
        print(f"  {result}")
    write(results)
    print(f"written to {LATEST.name}")


if __name__ == "__main__":
    main()
