"""One call of ``Sandbox.render``: batches of templates, and the hunt for the one that kills."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from kolibri_sdk.sandbox.child import Child, Failure
from kolibri_sdk.sandbox.values import Rendered, RenderJob

__all__ = ["render_jobs"]

_BATCH = 100
_OWN = ("html", "language", "zone", "now")


def render_jobs(child: Child, jobs: Sequence[RenderJob]) -> list[Rendered]:
    """Render these jobs in their order; where a batch costs the child its life, one by one."""
    return [
        rendered
        for begin in range(0, len(jobs), _BATCH)
        for rendered in _render(child, jobs[begin : begin + _BATCH])
    ]


def _render(child: Child, jobs: Sequence[RenderJob]) -> list[Rendered]:
    try:
        answers = child.ask("render", json.dumps(_request(jobs)))
    except Failure as failure:
        if len(jobs) == 1:
            return [Rendered(failure.status, error=failure.reason, template=jobs[0].name)]
        return [rendered for job in jobs for rendered in _render(child, [job])]
    return [Rendered(**answer) for answer in answers]


def _request(jobs: Sequence[RenderJob]) -> dict[str, Any]:
    """The jobs with everything that several share written once."""
    sources, contexts = _Once(), _Once()
    settings: dict[Hashable, int] = {}
    told: list[dict[str, Any]] = []
    rows = []
    for job in jobs:
        own = (job.html, job.language, job.zone, job.now)
        key = (id(job.sources), id(job.images), *own)
        if key not in settings:
            settings[key] = len(told)
            shared = {"sources": sources.place(job.sources), "images": dict(job.images)}
            told.append({**shared, **dict(zip(_OWN, own, strict=True))})
        rows.append((settings[key], job.name, contexts.place(job.context)))
    return {"sources": sources.all, "settings": told, "contexts": contexts.all, "jobs": rows}


class _Once:
    """Mappings in the order in which they first came, the same object once."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}

    def place(self, value: Mapping[str, Any]) -> int:
        """Where it stands in the list."""
        if id(value) not in self._places:
            self._places[id(value)] = len(self.all)
            self.all.append(dict(value))
        return self._places[id(value)]
