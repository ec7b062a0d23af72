"""One pass of the poller, and many: a stage takes rows in one state to the next (S18)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kolibri_sdk import clock
from kolibri_sdk.errors import KolibriError
from kolibri_sdk.model.mailbox import Mailbox
from kolibri_sdk.pipeline.drift import watch_drift
from kolibri_sdk.pipeline.events import run_events
from kolibri_sdk.pipeline.fetch import fetch_mailbox
from kolibri_sdk.pipeline.grants import watch_grants
from kolibri_sdk.pipeline.outbound import compose_outbox, send_outbox
from kolibri_sdk.pipeline.parse import parse_stored
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.rules import run_rules
from kolibri_sdk.pipeline.sent_mail import copy_sent, find_evidence
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.pipeline.waiting import run_waiting
from kolibri_sdk.schedule import Stop
from kolibri_sdk.store import ledger, overview, runs

__all__ = ["run_pass", "run_passes"]

_MOST_THREADS = 4


def run_passes(
    system: System,
    *,
    passes: int | None,
    every: float,
    mailboxes: Sequence[str] | None = None,
    stop: Stop | None = None,
) -> Iterator[PassReport]:
    """Passes at a steady beat; a pass that takes longer than the beat is followed at once.

    Between two passes the IMAP mailboxes are watched (IDLE): where one has new mail, it gets a
    pass of its own at once, which the beat does not count and does not wait for.

    Parameters
    ----------
    passes : int or None
        How many; None goes on for ever.
    every : float
        Seconds from the start of a pass to the start of the next.
    stop : Stop, optional
        Ends the loop after the pass at hand, or in the pause between two.
    """
    asked = stop or Stop()
    number = 0
    try:
        while not asked.requested and (passes is None or number < passes):
            number += 1
            elapsed = clock.stopwatch()
            yield _fresh_pass(system, mailboxes)
            if number == passes:
                return
            while new := system.connections.wait(every - elapsed(), asked):
                yield _fresh_pass(system, new, early=True)
    finally:
        system.connections.close()


def _fresh_pass(
    system: System, mailboxes: Sequence[str] | None, *, early: bool = False
) -> PassReport:
    system.reload_rules()
    known = system.rulebook.mailboxes
    chosen = [name for name in mailboxes or () if name in known] if early else mailboxes
    report = run_pass(system, chosen)
    report.early = early
    return report


def run_pass(system: System, mailboxes: Sequence[str] | None = None) -> PassReport:
    """Fetch, parse, rules, events, send; what goes wrong in one place leaves the others alone.

    Raises
    ------
    NotFound
        When ``mailboxes`` names one that there is not.
    """
    report = PassReport(started_at=clock.now())
    chosen = [system.mailbox(name) for name in mailboxes or system.rulebook.mailboxes]
    report.errors.extend(
        str(problem) for problem in system.rulebook.problems if problem.severity == "error"
    )
    _guarded(report, lambda: report.errors.extend(system.prepare()))
    _fetch_all(system, chosen, report)
    _guarded(report, lambda: watch_grants(system, chosen, report))
    _guarded(report, lambda: _work_off(system, chosen, report))
    if report.errors:
        system.distrust()
    _guarded(report, lambda: watch_drift(system, report))
    report.finished_at = clock.now()
    _guarded(report, lambda: _note_run(system, report))
    return report


def _work_off(system: System, chosen: Sequence[Mailbox], report: PassReport) -> None:
    """The stages between fetching and noting; most passes find nothing to do, and ask just once."""
    with system.store.read() as tx:
        if not overview.anything_waits(tx):
            return
    names = [mailbox.name for mailbox in chosen]
    # What earlier passes have left comes first: it is older, and what fails now waits.
    for mailbox in chosen:
        _guarded(report, lambda box=mailbox: run_rules(system, box, report))
    _guarded(report, lambda: parse_stored(system, names, report))
    _guarded(report, lambda: run_events(system, report))
    _guarded(report, lambda: run_waiting(system, report))
    _guarded(report, lambda: compose_outbox(system, report))
    for mailbox in chosen:
        if mailbox.outbound is not None:
            _guarded(report, lambda box=mailbox: find_evidence(system, box, report))
            _guarded(report, lambda box=mailbox: send_outbox(system, box, report))
            _guarded(report, lambda box=mailbox: copy_sent(system, box, report))


def _fetch_all(system: System, mailboxes: Sequence[Mailbox], report: PassReport) -> None:
    if len(mailboxes) == 1:  # no need for a thread
        _guarded(report, lambda: fetch_mailbox(system, mailboxes[0], report))
        return
    reports = [PassReport(started_at=report.started_at) for _ in mailboxes]
    with ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="kolibri-fetch") as threads:
        jobs = [
            threads.submit(
                _guarded, own, lambda box=mailbox, to=own: fetch_mailbox(system, box, to)
            )
            for mailbox, own in zip(mailboxes, reports, strict=True)
        ]
        for job in jobs:
            job.result()
    for own in reports:
        report.counts.update(own.counts)
        report.mailboxes.update(own.mailboxes)
        report.resting.extend(own.resting)
        report.refuse(own.refused)
        report.errors.extend(own.errors)


def _guarded(report: PassReport, stage: Any) -> None:
    """Run a stage; an error is told in the report, and the next stage goes on."""
    try:
        stage()
    except KolibriError as error:
        report.errors.append(str(error))


def _note_run(system: System, report: PassReport) -> None:
    assert report.finished_at is not None
    counts: dict[str, Any] = {name: number for name, number in report.counts.items() if number}
    counts["mailboxes"] = {name: dict(of) for name, of in report.mailboxes.items()}
    counts["refused"] = report.not_done
    with system.store.write() as tx:
        ledger.note_rest(tx, report.resting, report.finished_at)
        runs.add(
            tx,
            started_at=report.started_at,
            finished_at=report.finished_at,
            counts=counts,
            errors=report.errors,
        )
