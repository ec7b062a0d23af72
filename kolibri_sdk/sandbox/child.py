"""The parent's side of a sandbox process: start it, ask it, watch it, end it."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil

from kolibri_sdk import clock
from kolibri_sdk.errors import SandboxError
from kolibri_sdk.sandbox.bundle import ANALYSIS, PRELUDE
from kolibri_sdk.sandbox.wire import HEADER_SIZE, frame, length

__all__ = ["Child", "Failure"]

_TICK = 0.02  # seconds between two looks at the child's time and memory
_START = 60.0  # seconds within which a child has to be warm
_PATIENCE = 3  # times the deadline on the wall clock, for machines that are busy elsewhere
_MB = 2**20
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class Failure(Exception):
    """A request cost the child its life; ``status`` and ``reason`` tell how."""

    def __init__(self, status: Literal["timeout", "crash"], reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Child:
    """One sandbox process, started when it is first asked and again after it had to be ended.

    Parameters
    ----------
    kind : {"javascript", "templates"}
        What it runs.
    deadline : float
        Seconds of processor time per request (and three times as many on the wall clock).
    memory_mb : int
        Megabytes it may take beyond those it has when warm.
    languages, zones : tuple of str
        Passed on to the templates' engine, which loads them before the doors are closed.
    """

    def __init__(
        self,
        kind: Literal["javascript", "templates"],
        *,
        deadline: float,
        memory_mb: int,
        languages: tuple[str, ...] = (),
        zones: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.deadline = deadline
        self.memory_mb = memory_mb
        self.languages = languages
        self.zones = zones
        self.starts = 0  #: how often it was started: what it had been told before is forgotten
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._watch: _Watch | None = None

    def ensure(self) -> int:
        """Have it running; the number that comes back changes with every new process."""
        if self._process is not None and self._owner != os.getpid():
            self._process = None  # forked: that child belongs to our parent
        elif self._process is not None and self._process.poll() is not None:
            self.stop()  # killed from outside while it had nothing to do
        if self._process is None:
            self._start()
        return self.starts

    def ask(self, operation: str, payload: str, deadline: float | None = None) -> Any:
        """Send one request and wait for its answer, both JSON; ``deadline`` replaces the usual one.

        Raises
        ------
        Failure
            It took too long or too much memory, or the process died; a new one will be started
            for the next request.
        SandboxError
            No process can be started.
        """
        self.ensure()
        seconds = self.deadline if deadline is None else deadline
        request = frame(f"{operation} {_PATIENCE * seconds + 2}\n{payload}")
        try:
            return json.loads(self._exchange(request, seconds))
        except BaseException:  # an interrupted exchange leaves half an answer in the pipe
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, if there is one; it holds nothing that would need saving."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()

    def _start(self) -> None:
        missing = [path for path in (PRELUDE, ANALYSIS) if not path.is_file()]
        if self.kind == "javascript" and missing:
            raise SandboxError(
                f"The sandbox's JavaScript has not been built: there is no {missing[0]}",
                "In a checkout run `python .hatch/build_bundles.py`; else reinstall kolibri-sdk",
            )
        self._owner = os.getpid()
        self._process = process = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is the parent's business
        )
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._watch = _Watch(process.pid, self.memory_mb)
        try:
            self._exchange(b"", _START)
        except Failure as failure:
            self.stop()
            raise SandboxError(
                f"The sandbox process ({self.kind}) does not start: {failure.reason}",
                "Reinstall kolibri-sdk into this Python; mini-racer needs 64-bit Linux or macOS",
            ) from None
        self._watch.warm()
        self.starts += 1

    def _command(self) -> list[str]:
        # -S: the paths are all given, so that nothing is left for site to do
        python = (sys.executable, "-S", "-P", "-m", "kolibri_sdk.sandbox.worker")
        loaded = (",".join(self.languages), ",".join(self.zones))
        return [*python, self.kind, str(os.getpid()), str(self.memory_mb), *loaded]

    def _exchange(self, request: bytes, deadline: float) -> bytes:
        """Write the request and read one frame, looking at time and memory in between."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._watch is not None
        source, sink = self._process.stdout.fileno(), self._process.stdin.fileno()
        exceeded = self._watch.begin(deadline)
        unsent, received = memoryview(request), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            if unsent:
                selector.register(sink, selectors.EVENT_WRITE)
            while True:
                for key, _ in selector.select(_TICK):
                    try:
                        if key.fd == sink:
                            unsent = unsent[os.write(sink, unsent[: 2**20]) :]
                            if not unsent:
                                selector.unregister(sink)
                        else:
                            piece = os.read(source, 2**20)
                            if not piece:
                                raise self._obituary()
                            received += piece
                    except BrokenPipeError:
                        raise self._obituary() from None
                if len(received) >= HEADER_SIZE:
                    end = HEADER_SIZE + length(bytes(received[:HEADER_SIZE]))
                    if len(received) >= end:
                        return bytes(received[HEADER_SIZE:end])
                exceeded()

    def _obituary(self) -> Failure:
        """How a process that died by itself came to its end."""
        assert self._process is not None
        assert self._process.stderr is not None
        code = self._process.wait()
        words = (self._process.stderr.read() or b"").decode(errors="replace")
        if code == -signal.SIGXCPU:
            return Failure("timeout", f"was not done after {self.deadline:g} s")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        fatal = re.search(r"Fatal (?:JavaScript|process) .*", words)
        last = fatal[0] if fatal else words.strip().rpartition("\n")[2]
        what = f": {last.strip()[:300]}" if last else ""
        return Failure("crash", f"took the sandbox process down ({how}){what}")


class _Watch:
    """Looks at the time and the memory that one process takes."""

    def __init__(self, pid: int, memory_mb: int) -> None:
        self._process = psutil.Process(pid)
        self._memory_mb = memory_mb
        self._base = 2**62

    def warm(self) -> None:
        """From here on the memory counts."""
        self._base = self._process.memory_info().rss

    def begin(self, deadline: float) -> Callable[[], None]:
        """Start the clock; what comes back raises ``Failure`` once a limit is exceeded."""
        elapsed = clock.stopwatch()
        looked = 0.0
        cpu_before: float | None = None

        def look() -> None:
            nonlocal looked, cpu_before
            now = elapsed()
            if now - looked < _TICK:
                return
            looked = now
            try:
                used, resident = self._used()
            except psutil.Error:
                return  # it has just died: the pipe will tell
            cpu_before = used if cpu_before is None else cpu_before
            if used - cpu_before >= deadline or now >= _PATIENCE * deadline:
                raise Failure("timeout", f"was not done after {deadline:g} s")
            if resident - self._base > self._memory_mb * _MB:
                raise Failure("crash", f"needed more than {self._memory_mb} MB of memory")

        return look

    def _used(self) -> tuple[float, int]:
        with self._process.oneshot():
            times = self._process.cpu_times()
            return times.user + times.system, self._process.memory_info().rss


def _environment() -> dict[str, str]:
    """Next to nothing: where modules lie, and a time zone that is the same on every machine.

    The paths are this process's own, in its order; without the current folder, since a file there
    must not pass for a module of ours.
    """
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *(path for path in sys.path if path not in ("", package))]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "TZ": "UTC", "PYTHONUTF8": "1"}
