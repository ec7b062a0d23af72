"""The face of the sandbox: expressions and templates in, decisions and texts out."""

from __future__ import annotations

import json
import weakref
from collections.abc import Collection, Mapping, Sequence
from threading import RLock
from types import TracebackType
from typing import Any

from kolibri_sdk.sandbox.child import Child, Failure
from kolibri_sdk.sandbox.evaluation import Evaluation, find_faults
from kolibri_sdk.sandbox.inspection import inspect_scripts
from kolibri_sdk.sandbox.rendering import render_jobs
from kolibri_sdk.sandbox.values import (
    Inspection,
    Outcome,
    Rendered,
    RenderJob,
    Script,
    ScriptFault,
)

__all__ = ["Sandbox"]


class Sandbox:
    """Runs JavaScript expressions and Jinja templates in supervised child processes.

    A child is started when it is first needed and lives until ``close()``. It can open no file and
    no socket, start no process, and is ended when it takes too long or too much memory; then a new
    one takes over, and only the guilty expression on the guilty input is told of it. The object may
    be shared by threads, which take turns; it works inside a running event loop, such as a
    notebook's.

    Parameters
    ----------
    deadline : float
        Seconds of processor time that one input may take (three times as many on the wall clock).
    memory_mb : int
        Megabytes that a child may take beyond what it has when warm.
    batch : int
        Inputs that cross into the child together.

    Examples
    --------
    >>> with Sandbox() as sandbox:
    ...     [row] = sandbox.evaluate(
    ...         [Script("vpn", "/vpn/i.test(message.subject)")],
    ...         [{"message": {"subject": "VPN down"}}],
    ...     )
    >>> row["vpn"].value
    True
    """

    def __init__(self, *, deadline: float = 1.0, memory_mb: int = 512, batch: int = 250) -> None:
        self._batch = batch
        self._lock = RLock()
        self._javascript = Child("javascript", deadline=deadline, memory_mb=memory_mb)
        self._templates = Child("templates", deadline=deadline, memory_mb=memory_mb)
        self._finalizer = weakref.finalize(self, _stop, self._javascript, self._templates)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child processes; a later call starts new ones."""
        with self._lock:
            _stop(self._javascript, self._templates)

    def evaluate(
        self,
        scripts: Sequence[Script],
        inputs: Sequence[Mapping[str, Any]],
        *,
        wanted: Sequence[Collection[str]] | None = None,
    ) -> list[dict[str, Outcome]]:
        """Evaluate every script on every input.

        Scripts share nothing, neither with each other nor from one input to the next; inputs are
        frozen; there is no clock and no chance. So each outcome depends on its script and its
        input alone, whatever else is in the call.

        Beyond the scripts' own time, a call takes at most about ``9 * deadline`` (and nine starts
        of a child, 0.2 s each) for every script that ends its process: after three such inputs
        the script is not tried again, and its further outcomes say so.

        Parameters
        ----------
        scripts : sequence of Script
            With unique ids.
        inputs : sequence of mappings
            Plain JSON data; the keys are the variables that the expressions see.
        wanted : sequence of collections of script ids, optional
            As many as inputs: which scripts to evaluate on each.

        Returns
        -------
        list of dict
            One per input: script id to outcome.

        Raises
        ------
        SandboxError
            The child process cannot be started.
        ValueError
            An input is not plain JSON data, or ids are not unique.
        """
        _check_unique(scripts)
        if wanted is not None and len(wanted) != len(inputs):
            raise ValueError(f"{len(wanted)} sets of wanted scripts for {len(inputs)} inputs")
        if not scripts or not inputs:
            return [{} for _ in inputs]
        with self._lock:
            faults = find_faults(self._javascript, scripts)
            sound = [script for script in scripts if script.id not in faults]
            evaluation = Evaluation(self._javascript, sound, size=self._batch)
            results = evaluation.run(inputs, wanted)
        if faults:
            for index, row in enumerate(results):
                ids = faults if wanted is None else faults.keys() & set(wanted[index])
                row.update((id_, faults[id_]) for id_ in ids)
        return results

    def check_scripts(self, scripts: Sequence[Script]) -> dict[str, ScriptFault]:
        """Compile the scripts without running them; those with a fault come back, by id."""
        _check_unique(scripts)
        if not scripts:
            return {}
        with self._lock:
            faults = find_faults(self._javascript, scripts)
        return {id_: ScriptFault(o.error, o.line, o.column) for id_, o in faults.items()}

    def inspect(
        self, scripts: Sequence[Script], shapes: Mapping[str, Any] | None = None
    ) -> dict[str, Inspection]:
        """Look at scripts without running them: their leaves, and what is likely a mistake; by id.

        Parameters
        ----------
        scripts : sequence of Script
            With unique ids.
        shapes : mapping, optional
            What the variables hold, as ``kolibri_sdk.model.binding.SHAPES`` tells it; without it,
            names of fields are not looked at.

        Raises
        ------
        SandboxError
            The child process cannot be started.
        """
        _check_unique(scripts)
        if not scripts:
            return {}
        with self._lock:
            found = inspect_scripts(self._javascript, scripts, shapes or {})
        return {script.id: one for script, one in zip(scripts, found, strict=True)}

    def render(self, jobs: Sequence[RenderJob]) -> list[Rendered]:
        """Render templates, each within the deadline; a failing one does not touch the others.

        Undefined names are errors. At most 5 MB of text come out of one template. Jobs that share
        an object as ``sources`` or ``context`` have it sent once. The filters ``date``, ``time``,
        ``datetime``, ``ago``, ``number``, ``percent`` and ``currency`` write in the job's language
        and zone.

        Raises
        ------
        SandboxError
            The child process cannot be started.
        """
        with self._lock:
            self._speak({job.language for job in jobs}, {job.zone for job in jobs if job.zone})
            return render_jobs(self._templates, jobs)

    def check_templates(self, sources: Mapping[str, str]) -> dict[str, ScriptFault]:
        """Parse templates without rendering them; those with a fault come back, by name."""
        if not sources:
            return {}
        with self._lock:
            try:
                found = self._templates.ask("check", json.dumps(dict(sources)))
            except Failure as failure:
                if len(sources) == 1:
                    reason = f"cannot be compiled: {failure.reason}"
                    return {name: ScriptFault(reason) for name in sources}
                singly = [self.check_templates({name: text}) for name, text in sources.items()]
                return {name: fault for faults in singly for name, fault in faults.items()}
        return {name: ScriptFault(message, line) for name, (message, line) in found.items()}

    def _speak(self, languages: set[str], zones: set[str]) -> None:
        """A child loads languages and zones when it starts; for a new one it is started anew."""
        spoken, kept = set(self._templates.languages), set(self._templates.zones)
        if not (languages <= spoken and zones <= kept):
            self._templates.stop()
            self._templates.languages = tuple(sorted(languages | spoken))
            self._templates.zones = tuple(sorted(zones | kept))


def _check_unique(scripts: Sequence[Script]) -> None:
    ids = [script.id for script in scripts]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise ValueError(f"Two scripts have the id {id_!r}")


def _stop(*children: Child) -> None:
    for child in children:
        child.stop()
