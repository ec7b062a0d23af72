"""The sandbox process: ``python -m kolibri_sdk.sandbox.worker``, talked to over its pipes."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

from kolibri_sdk.sandbox.limits import close_the_doors, limit_processor_time
from kolibri_sdk.sandbox.wire import HEADER_SIZE, frame, length

__all__ = ["main"]

_PARENT_LOOKED_FOR = 1.0  # seconds between two looks


class _Engine(Protocol):
    def answer(self, operation: str, payload: str) -> str: ...


def _read(descriptor: int, size: int, parent: int) -> bytes:
    """Exactly so many bytes; the process ends when the parent is gone.

    The end of the pipe tells it at once. Where another process has inherited the parent's end of
    the pipe that does not come, hence the look at the parent's id. (PR_SET_PDEATHSIG will not do:
    it fires when the *thread* ends that started us.)
    """
    received = bytearray()
    while len(received) < size:
        while not select.select([descriptor], [], [], _PARENT_LOOKED_FOR)[0]:
            if os.getppid() != parent:
                os._exit(0)
        piece = os.read(descriptor, min(size - len(received), 2**20))
        if not piece:
            os._exit(0)
        received += piece
    return bytes(received)


def _listen(descriptor: int, parent: int, requests: SimpleQueue[str]) -> None:
    while True:
        size = length(_read(descriptor, HEADER_SIZE, parent))
        requests.put(_read(descriptor, size, parent).decode())


def _send(descriptor: int, body: str) -> None:
    unsent = memoryview(frame(body))
    while unsent:
        unsent = unsent[os.write(descriptor, unsent) :]


def _engine(kind: str, languages: Sequence[str], zones: Sequence[str]) -> _Engine:
    if kind == "javascript":
        from kolibri_sdk.sandbox.javascript import JavaScript  # noqa: PLC0415 (V8 costs 0.1 s)

        return JavaScript()
    from kolibri_sdk.sandbox.templates import Templates  # noqa: PLC0415 (so does Jinja)

    return Templates(languages, zones)


def main(
    kind: str, parent: int, memory_mb: int, languages: Sequence[str], zones: Sequence[str]
) -> None:
    """Warm up, close the doors, say so, and answer requests until the parent is gone.

    A request is ``OPERATION SECONDS`` on its first line, then JSON; when it takes so many seconds
    of processor time the kernel ends this process: a second line behind the parent's own watch.

    Parameters
    ----------
    kind : {"javascript", "templates"}
        Which engine to load.
    parent : int
        Process id of the parent; without it this process ends.
    memory_mb : int
        Megabytes beyond those in use when warm.
    languages, zones : sequence of str
        Whose formats and rules to load, before no file can be opened any more.
    """
    answers = os.dup(1)
    os.dup2(2, 1)  # a stray print must not end up between the frames
    requests: SimpleQueue[str] = SimpleQueue()
    Thread(target=_listen, args=(0, parent, requests), daemon=True).start()
    engine = _engine(kind, languages, zones)
    close_the_doors(memory_mb)
    _send(answers, json.dumps({"ready": kind}))
    while True:
        head, _, payload = requests.get().partition("\n")
        operation, _, seconds = head.partition(" ")
        limit_processor_time(float(seconds))
        _send(answers, engine.answer(operation, payload))


if __name__ == "__main__":
    given = ([name for name in text.split(",") if name] for text in sys.argv[4:])
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *given)
