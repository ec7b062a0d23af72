"""Templates in the sandbox against Jinja2 in this process, by processor time of all involved."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import psutil

from kolibri_sdk.rulebook import load_rulebook
from kolibri_sdk.sandbox import RenderJob, Sandbox
from tests.benchmarks.measure import Result, Settings, in_turn

__all__ = ["measure_rendering"]

_MAILS = 500
_RULES = Path(__file__).parents[2] / "rules"


def measure_rendering(settings: Settings) -> list[Result]:
    """A shipped template for 500 records, subject and HTML and text, beside plain Jinja2.

    Jinja2 runs here, unprotected, its templates compiled once; the sandbox's time is that of both
    processes, with what goes to and fro between them.
    """
    template = load_rulebook(_RULES).templates["incident-received"]
    variant = template.variants["en"]
    sources = {**template.includes, **variant.sources()}
    contexts = [_context(number) for number in range(_MAILS)]
    parts = list(variant.sources())
    jobs = [
        RenderJob(sources, part, context, part == "html", "en")
        for context in contexts
        for part in parts
    ]
    environments = {
        part: jinja2.Environment(
            loader=jinja2.DictLoader(sources),
            undefined=jinja2.StrictUndefined,
            autoescape=part == "html",
            keep_trailing_newline=True,
        )
        for part in parts
    }

    def plainly() -> list[str]:
        return [
            environments[part].get_template(part).render(context)
            for context in contexts
            for part in parts
        ]

    with Sandbox(deadline=30) as sandbox:

        def sandboxed() -> list[str]:
            return [rendered.text for rendered in sandbox.render(jobs)]

        assert plainly() == sandboxed()  # the same texts, and both are warm
        seconds = in_turn(
            max(settings.rounds, 3),
            jinja=lambda: _seconds(plainly),
            kolibri=lambda: _seconds(sandboxed),
        )
    for name, taken in seconds.items():
        print(f"  {name}: {', '.join(f'{_MAILS / one:,.0f}' for one in taken)} mails/s")
    pairs = [a / b for a, b in zip(seconds["jinja"], seconds["kolibri"], strict=True)]
    return [Result.of("outgoing", "rendering_vs_jinja2_in_process", pairs, 0.5, "higher")]


def _context(number: int) -> dict[str, Any]:
    return {
        "record": {
            "number": f"INC-{number:06d}",
            "title": f"VPN drops <every> {number} minutes & more",
            "description": "It began this morning. " * 20,
            "caller": "anna.weiss@customer.example",
            "group": "Network",
            "priority": number % 4,
            "status": "open",
        },
        "old": None,
        "message": None,
        "user": {"id": "anna", "name": "Anna", "address": "a@customer.example", "language": "en"},
        "mailbox": {
            "name": "support",
            "address": "support@kolibri.example",
            "display_name": "Kolibri Support",
        },
        "link": f"https://desk.example/incident/{number}",
        "language": "en",
    }


def _seconds(run: Callable[[], object]) -> float:
    """Processor time of this process and its children, over as many runs as the clock needs."""
    begun, runs = _used(), 0
    started = time.monotonic()
    while time.monotonic() - started < 1.0:
        run()
        runs += 1
    return (_used() - begun) / runs


def _used() -> float:
    here = os.times()
    total = here.user + here.system
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total
