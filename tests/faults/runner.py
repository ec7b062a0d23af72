"""Runs passes, or imports, of a project in child processes that are killed in the middle.

A process of its own (``python -m tests.faults.runner``): it imports everything once and opens
nothing, so that forking is safe and a round costs no start-up. One JSON object per line comes in,
one goes out (``status``, ``checkpoints``: the names that were reached, in order). Coming in:
``root``, and when to kill: at the ``nth`` checkpoint, at the one called ``at`` or ``delay`` seconds
after it, ``delay`` seconds after the start; or nothing, to let the pass finish. With ``source``
that archive is imported instead; a mail that holds the text ``deadly`` takes the parser down.
``environ`` is what the environment holds by now: servers that start later bring passwords along.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kolibri_sdk.client
import kolibri_sdk.mail
import kolibri_sdk.mailboxes
from kolibri_sdk import checkpoint, connect
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.pipeline import imports

__all__: list[str] = []

assert kolibri_sdk.client, kolibri_sdk.mail
assert kolibri_sdk.mailboxes


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _pass(
    root: str, trace: int, nth: int | None, at: str, delay: float | None, source: str, deadly: str
) -> None:
    """The child: one pass or import, which ends where it is asked to."""
    reached = 0
    aims = [at]

    def note(name: str) -> None:
        nonlocal reached
        reached += 1
        os.write(trace, f"{name}\n".encode())
        if reached == nth or (name == at and delay is None):
            _kill()
        if name in aims and delay is not None:
            aims.clear()
            threading.Timer(delay, _kill).start()

    checkpoint.observe(note)
    if deadly:
        imports.parse_mail = _parser_that_dies_of(deadly.encode())
    with connect(project=root) as k:
        if source:
            done = k.import_mail(source, mailbox="support", progress=False)
            os.write(trace, f"imported {json.dumps(done.as_json())}\n".encode())
            return
        for report in k.poll(passes=1):
            if not report.ok:
                os.write(trace, f"error {json.dumps(report.errors)}\n".encode())


def _parser_that_dies_of(text: bytes) -> Any:
    def parse(raw: bytes, **more: Any) -> Any:
        if text in raw:
            _kill()
        return parse_mail(raw, **more)

    return parse


def _round(
    root: str,
    nth: int | None = None,
    at: str = "",
    delay: float | None = None,
    source: str = "",
    deadly: str = "",
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("r") as trace:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.environ.update(environ or {})
                opened = os.open(trace.name, os.O_WRONLY | os.O_APPEND)
                _pass(root, opened, nth, at, delay, source, deadly)
                status = 0
            except BaseException:  # told, then the child ends without cleaning up
                traceback.print_exc()
            finally:
                os._exit(status)
        if delay is not None and not at:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        _, wait_status = os.waitpid(child, 0)
        lines = Path(trace.name).read_text().splitlines()
    return {"status": os.waitstatus_to_exitcode(wait_status), "checkpoints": lines}


def _main() -> None:
    for line in sys.stdin:
        print(json.dumps(_round(**json.loads(line))), flush=True)


if __name__ == "__main__":
    _main()
