"""What happens again and again: a steady beat, a clean end, runs by papermill (C3, S18)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from kolibri_sdk import clock

__all__ = [
    "Outcome",
    "RunResult",
    "Stop",
    "beat",
    "discard_old_reports",
    "report_path",
    "run_notebook",
    "stop_on_signals",
    "with_parameters",
]

_LOOK = 0.2  #: seconds between two looks at whether an end is asked for
_CONFIGURATION = {"ConfigurationError", "NotFound"}


class Stop:
    """Whether a loop shall end: asked between two rounds, and while it waits for the next one.

    Examples
    --------
    >>> stop = Stop()
    >>> [number for number in beat(3, every=0, stop=stop)]
    [1, 2, 3]
    """

    def __init__(self) -> None:
        self.requested = False

    def wait(self, seconds: float) -> None:
        """Wait that long, or until an end is asked for."""
        while seconds > 0 and not self.requested:
            clock.sleep(min(seconds, _LOOK))
            seconds -= _LOOK


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for a clean end inside the ``with`` block; a second SIGINT breaks off.

    Outside the main thread, where Python allows no signal handlers, nothing asks.

    Examples
    --------
    >>> with stop_on_signals() as stop:
    ...     rounds = list(beat(2, every=0, stop=stop))
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        stop.requested = True

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def beat(times: int | None, every: float, stop: Stop) -> Iterator[int]:
    """1, 2, 3 … at a steady beat; a round that takes longer is followed at once.

    Parameters
    ----------
    times : int or None
        How many rounds; None goes on until ``stop`` asks for an end.
    every : float
        Seconds from the start of a round to the start of the next.
    """
    number = 0
    while not stop.requested and (times is None or number < times):
        elapsed = clock.stopwatch()
        number += 1
        yield number
        if times is None or number < times:
            stop.wait(every - elapsed())


class Outcome(StrEnum):
    """How a run of the notebook ended."""

    FINE = "fine"
    FAILED = "failed"  #: something went wrong in it; the next run may fare better
    MISCONFIGURED = "misconfigured"  #: a parameter or a file is wrong; the next run fares no better
    STOPPED = "stopped"  #: it was asked to end before it had begun


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run of the notebook: its executed copy, and how it ended."""

    report: Path
    outcome: Outcome
    seconds: float
    reason: str = ""  #: what went wrong, in the words of the notebook

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        return {
            "report": str(self.report),
            "outcome": self.outcome.value,
            "seconds": round(self.seconds, 3),
            "reason": self.reason,
        }


def run_notebook(
    notebook: Path,
    parameters: Mapping[str, Any],
    report: Path,
    *,
    folder: Path,
    stop: Stop | None = None,
    progress: TextIO | None = None,
) -> RunResult:
    """Execute a notebook with papermill; its executed copy is the report, failed or not.

    Parameters
    ----------
    notebook : Path
        The notebook, with a cell tagged ``parameters``.
    parameters : mapping of str to object
        Values for that cell.
    report : Path
        Where the executed copy is written.
    folder : Path
        The working folder of the notebook.
    stop : Stop, optional
        Is passed on to the notebook's kernel as SIGTERM.
    progress : file, optional
        Gets what the notebook prints, while it prints it; standard output by default.
    """
    elapsed = clock.stopwatch()
    report.parent.mkdir(parents=True, exist_ok=True)
    # papermill takes the signals of the main thread to kill the kernel; in a thread it cannot.
    with ThreadPoolExecutor(1, thread_name_prefix="kolibri-papermill") as thread:
        job = thread.submit(_execute, notebook, parameters, report, folder, progress or sys.stdout)
        try:
            error = _wait(job, stop or Stop())
        except BaseException:
            _signal_kernels(signal.SIGKILL)
            raise
    outcome, reason = _verdict(error, stop)
    return RunResult(report, outcome, elapsed(), reason)


def with_parameters(notebook: Path, parameters: Mapping[str, Any], target: Path) -> None:
    """Write a notebook's copy with these values, as papermill sets them, to be opened by a person.

    Parameters
    ----------
    notebook : Path
        The notebook, with a cell tagged ``parameters``.
    parameters : mapping of str to object
        Values for that cell.
    target : Path
        Where the copy is written.
    """
    from papermill.iorw import load_notebook_node, write_ipynb  # noqa: PLC0415 (takes a second)
    from papermill.parameterize import parameterize_notebook  # noqa: PLC0415

    made = parameterize_notebook(load_notebook_node(str(notebook)), dict(parameters))
    write_ipynb(made, str(target))


def _execute(
    notebook: Path, parameters: Mapping[str, Any], report: Path, folder: Path, progress: TextIO
) -> None:
    # papermill is heavy, and this module is imported wherever a pass is run.
    import papermill  # noqa: PLC0415
    from jupyter_core.utils import ensure_event_loop  # noqa: PLC0415

    try:
        papermill.execute_notebook(
            str(notebook),
            str(report),
            parameters=dict(parameters),
            cwd=str(folder),
            progress_bar=False,
            stdout_file=progress,
            stderr_file=sys.stderr,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
    finally:
        # Jupyter makes an event loop for this thread and leaves it open, run after run.
        ensure_event_loop().close()


def _wait(job: Future[None], stop: Stop) -> BaseException | None:
    told = False
    while True:
        try:
            return job.exception(timeout=_LOOK)
        except StillRunning:
            if stop.requested and not told:
                _signal_kernels(signal.SIGTERM)
                told = True


def _signal_kernels(number: int) -> None:
    """Send a signal to the kernels that this process has started."""
    import psutil  # noqa: PLC0415

    for child in psutil.Process(os.getpid()).children():
        if "ipykernel_launcher" in child.cmdline():
            child.send_signal(number)


def _verdict(error: BaseException | None, stop: Stop | None) -> tuple[Outcome, str]:
    if error is None:
        return Outcome.FINE, ""
    name = getattr(error, "ename", type(error).__name__)
    if name == "DeadKernelError" and stop is not None and stop.requested:
        return Outcome.STOPPED, "asked to end before the first pass"
    said = getattr(error, "evalue", str(error))
    known = name in _CONFIGURATION or name == "RunFailed"
    outcome = Outcome.MISCONFIGURED if name in _CONFIGURATION else Outcome.FAILED
    return outcome, said if known else f"{name}: {said}"


def report_path(folder: Path, name: str) -> Path:
    """Where the report of a run that begins now lies: sorted by name is sorted by time (UTC).

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> with clock.fixed(datetime(2026, 5, 1, 8, 30, tzinfo=UTC)):
    ...     report_path(Path("reports"), "poller").as_posix()
    'reports/poller-20260501T083000.000Z.ipynb'
    """
    moment = clock.now()
    return folder / f"{name}-{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z.ipynb"


def discard_old_reports(folder: Path, name: str, keep: int) -> list[Path]:
    """Delete all but the last ``keep`` reports of this notebook; the deleted ones."""
    stamp = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "." + "[0-9]" * 3 + "Z"
    old = sorted(folder.glob(f"{name}-{stamp}.ipynb"))[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
    return old
