"""Drift: what a promoted rule does on live mail, against the backtest that it was promoted by.

The control limits are those of a p-chart at three sigma, computed exactly: given ``m`` hits in the
``M`` mails of the backtest, the hits in ``n`` live mails follow a beta-binomial distribution
(Jeffreys' prior), and what lies beyond 0.135 % at either end is outside. Unlike 3·sqrt(p(1-p)/n),
this holds for few mails, for rates near 0, and for a backtest that was small itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, lgamma

from kolibri_sdk import clock
from kolibri_sdk.errors import NotFound
from kolibri_sdk.model.release import Proof, ReleaseStep
from kolibri_sdk.model.rule import InboundRule, RuleState
from kolibri_sdk.pipeline.report import PassReport
from kolibri_sdk.pipeline.system import System
from kolibri_sdk.store import releases
from kolibri_sdk.store.live import live

__all__ = ["Drift", "control_limits", "drift_alarms", "drift_of", "watch_drift"]

DAYS = 7
_TAIL = 0.00135  #: beyond three sigma, at one end
_LEAST_TRIED = 50  #: live mails before anything is said
_LEAST_WRITTEN = 10  #: mails on which it wrote a record, before people's changes are judged
_LEAST_EVENTS = 3  #: errors, or overruled mails: one or two are no trend
_EVERY = 600.0  #: seconds between two looks of the poller


@dataclass(frozen=True, slots=True)
class Drift:
    """One rate of one rule, live against its backtest; shares of ``of``."""

    rate: str
    expected: float | None
    live: float | None
    count: int
    of: int
    low: float | None
    high: float | None
    alarm: bool


def control_limits(hits: int, tries: int, live_tries: int) -> tuple[int, int]:
    """The counts between which ``live_tries`` stay, if the rate is that of ``hits`` in ``tries``.

    Examples
    --------
    >>> control_limits(100, 1000, 200)
    (8, 35)
    >>> control_limits(0, 1000, 200)
    (0, 3)
    """
    n, a, b = live_tries, hits + 0.5, tries - hits + 0.5
    ends = lgamma(a + b) - lgamma(a) - lgamma(b)
    sums = lgamma(n + 1) - lgamma(a + b + n)
    low, high, below = 0, n, 0.0
    for k in range(n + 1):
        ways = sums - lgamma(k + 1) - lgamma(n - k + 1)
        below += exp(ends + ways + lgamma(k + a) + lgamma(n - k + b))
        if below <= _TAIL:
            low = k + 1
        if below >= 1 - _TAIL:
            high = k
            break
    return min(low, n), high


def drift_of(system: System, rule: InboundRule, days: float = DAYS) -> list[Drift]:
    """The rates of a promoted rule since its promotion, at most of the last days.

    Raises
    ------
    NotFound
        When this version was not put to work by a backtest.
    """
    with system.store.read() as tx:
        step = releases.in_force(tx).get((rule.mailbox, rule.name))
        if step is None or step.digest != rule.digest or step.backtest is None:
            raise NotFound(
                f"{rule.name} as it is was not promoted by a backtest: there is nothing to "
                "compare with",
                f"See: kolibri rules history {rule.name}",
            )
        proof = releases.proof(tx, step.backtest)
        since = _since(step, days)
        made = [action.create_record for action in rule.then if action.create_record]
        found = live(tx, rule.name, rule.digest, since, {one.entity: list(one.set) for one in made})
    score = proof.score or {}
    wrong = score.get("false_positives", 0)
    judged = wrong + score.get("true_positives", 0)
    return [
        _rate("match", proof.matches, proof.tried, found.matches, found.tried),
        _rate("error", proof.errors, proof.tried, found.errors, found.tried),
        _rate("overruled", wrong, judged, found.overruled, found.wrote),
    ]


def _since(step: ReleaseStep, days: float) -> datetime:
    first = clock.now() - timedelta(days=days)
    return max(step.at, first) if step.at is not None else first


def _rate(name: str, hits: int, tries: int, count: int, of: int) -> Drift:
    known = tries > 0
    expected = hits / tries if known else None
    share = count / of if of else None
    if not known or not of:
        return Drift(name, expected, share, count, of, None, None, alarm=False)
    low, high = control_limits(hits, tries, of)
    enough = of >= (_LEAST_WRITTEN if name == "overruled" else _LEAST_TRIED)
    if name == "match":
        alarm = enough and not low <= count <= high
    else:  # fewer errors are no reason to worry
        low = 0
        alarm = enough and count > high and count >= _LEAST_EVENTS
    return Drift(name, expected, share, count, of, low / of, high / of, alarm)


def drift_alarms(system: System, days: float = DAYS) -> Iterator[str]:
    """A sentence for each rate of each promoted rule that lies outside its control limits."""
    with system.store.read() as tx:
        steps = releases.in_force(tx)
        proofs = {
            place: releases.proof(tx, step.backtest)
            for place, step in steps.items()
            if step.backtest is not None
        }
    for rule in system.rulebook.inbound_rules:
        place = (rule.mailbox, rule.name)
        step, proof = steps.get(place), proofs.get(place)
        if step is None or proof is None or rule.state is not RuleState.ACTIVE:
            continue
        if step.digest == rule.digest:
            for drift in drift_of(system, rule, days):
                if drift.alarm:
                    yield _sentence(rule, drift, proof)


_WORDS = {"match": "matches", "error": "fails on", "overruled": "is overruled by people on"}


def _sentence(rule: InboundRule, drift: Drift, proof: Proof) -> str:
    assert drift.expected is not None
    assert drift.live is not None
    assert drift.low is not None
    assert drift.high is not None
    limits = f"{drift.low:.1%} to {drift.high:.1%}"
    return (
        f"Drift: rule {rule.name} ({rule.mailbox}) {_WORDS[drift.rate]} {drift.live:.1%} of "
        f"{drift.of:,} mails; in backtest {proof.id} it was {drift.expected:.1%}, and {limits} "
        f"would be as usual. See: kolibri rules drift {rule.name}"
    )


def watch_drift(system: System, report: PassReport) -> None:
    """Tell in the report of a pass what drifts; looked at every ten minutes."""
    if system.looked_for_drift is not None and system.looked_for_drift() < _EVERY:
        return
    report.errors.extend(drift_alarms(system))
    system.looked_for_drift = clock.stopwatch()
