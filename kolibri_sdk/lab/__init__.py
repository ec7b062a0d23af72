"""The rule lab: rules tried on old mail, looked at, judged and compared; nothing is ever done."""

from __future__ import annotations

from kolibri_sdk.lab.backtest import backtest
from kolibri_sdk.lab.compare import Comparison
from kolibri_sdk.lab.explain import Explanation
from kolibri_sdk.lab.gates import GateReport, check_gates
from kolibri_sdk.lab.golden import Golden
from kolibri_sdk.lab.judge import Score, progress_of, wilson
from kolibri_sdk.lab.matrix import Matrix
from kolibri_sdk.lab.plan import Plan
from kolibri_sdk.lab.proof import proof_of
from kolibri_sdk.lab.surroundings import Surroundings
from kolibri_sdk.lab.trial import Trial

__all__ = [
    "Comparison",
    "Explanation",
    "GateReport",
    "Golden",
    "Matrix",
    "Plan",
    "Score",
    "Surroundings",
    "Trial",
    "backtest",
    "check_gates",
    "progress_of",
    "proof_of",
    "wilson",
]
