"""A rule is judged by what people made of the mails; what nobody knows counts for nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kolibri_sdk.errors import ConfigurationError, NotFound
from kolibri_sdk.frames import TRIAL_MEASURES
from kolibri_sdk.lab import wilson
from tests.unit.lab.conftest import mails, rule

FRAME = mails(
    "VPN down", "vpn slow", "VPN invoice", "Tunnel broken", "Printer", "vpn?", "Invoice",
    {"subject": "Tunnel", "text": "it is the vpn"},
)  # fmt: skip
LABELS = ["net", "net", "billing", "net", "print", None, "billing", "net"]


def test_precision_recall_and_f1(attempt: Any) -> None:
    frame = FRAME.assign(group=LABELS)
    score = attempt(rule(), frame).score("group", "net")
    assert (score.true_positives, score.false_positives, score.false_negatives) == (2, 1, 2)
    assert (score.true_negatives, score.unlabelled) == (2, 1)
    assert (score.precision, score.recall) == (pytest.approx(2 / 3), 0.5)
    assert score.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    measures = score.measures.set_index("measure")
    assert measures.loc["precision", ["low", "high"]].tolist() == pytest.approx(wilson(2, 3))
    assert ((measures["low"] < measures["value"]) & (measures["value"] < measures["high"])).all()
    assert {n: str(d) for n, d in score.measures.dtypes.items()} == {
        n: c.dtype for n, c in TRIAL_MEASURES.items()
    }
    assert score.confusion.to_numpy().tolist() == [[2, 1, 1], [2, 2, 0]]
    assert score.confusion.to_numpy().sum() == len(frame)
    assert "precision" in repr(score)
    assert "matches with unknown outcome" in score._repr_html_()


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    # statsmodels.stats.proportion.proportion_confint(hits, tries, method="wilson")
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (81, 263, 0.255251, 0.366206)],
)
def test_the_interval_is_wilsons(hits: int, tries: int, low: float, high: float) -> None:
    assert wilson(hits, tries) == pytest.approx((low, high), abs=1e-4)


def test_what_was_missed_comes_nearest_first_with_what_is_in_the_way(attempt: Any) -> None:
    when = (
        "(/vpn/i.test(message.subject) || /vpn/i.test(message.text))"
        " && !message.subject.includes('Tunnel') && message.size > 4"
    )
    missed = attempt(rule(when=when), FRAME.assign(group=LABELS)).score("group", "net").missed
    assert missed[["id", "distance", "in_the_way"]].to_numpy().tolist() == [
        [8, 1, "!(message.subject.includes('Tunnel'))"],
        [4, 2, "/vpn/i.test(message.subject) · !(message.subject.includes('Tunnel'))"],
    ]


def test_what_is_wrong_says_why_it_matched(attempt: Any) -> None:
    when = "/vpn/i.test(message.subject) && !(message.size > 99)"
    wrong = attempt(rule(when=when), FRAME.assign(group=LABELS)).score("group", "net").wrong
    assert wrong[["id", "label", "because"]].to_numpy().tolist() == [
        [3, "billing", "/vpn/i.test(message.subject) · !(message.size > 99)"]
    ]


def test_distances_are_the_fewest_changes(attempt: Any) -> None:
    """By trying every combination of leaves."""
    when = (
        "message.size > 1 ? (message.html !== null || message.cc.length > 0) : !message.automatic"
    )
    frame = mails({}, {"text": ""}, {"text": "", "kind": "bounce"}).assign(group="x")
    missed = attempt(rule(when=when), frame).score("group", "x").missed.set_index("id")
    assert missed["distance"].to_dict() == {1: 1, 3: 1}


@pytest.mark.parametrize("form", ["column", "series", "mapping"])
def test_labels_come_in_three_forms(attempt: Any, form: str) -> None:
    frame = FRAME.assign(group=LABELS)
    label = {
        "column": "group",
        "series": pd.Series(LABELS, index=FRAME.index),
        "mapping": dict(zip(FRAME["id"], LABELS, strict=True)),
    }[form]
    score = attempt(rule(), frame).score(label, ["net", "print"])
    assert (score.true_positives, score.false_negatives, score.unlabelled) == (2, 3, 1)


def test_true_is_positive_where_nothing_is_said(attempt: Any) -> None:
    wanted = pd.array([True, None, False, *[False] * 5], dtype="boolean")
    score = attempt(rule(), FRAME.assign(wanted=wanted)).score("wanted")
    assert (score.true_positives, score.unlabelled, score.false_positives) == (1, 1, 2)


def test_mistakes_are_told(attempt: Any) -> None:
    trial = attempt(rule(), FRAME.assign(group=LABELS))
    with pytest.raises(NotFound, match=r"groop.*group"):
        trial.score("groop", "net")
    with pytest.raises(ConfigurationError, match="No mail has the label 'network'"):
        trial.score("group", "network")
    with pytest.raises(ConfigurationError, match="none of the frame's rows"):
        trial.score(pd.Series(["net"], index=[99]), "net")


def test_without_labels_nothing_is_claimed(attempt: Any) -> None:
    score = attempt(rule(), FRAME.assign(group=None)).score("group", "net")
    assert np.isnan(score.precision)
    assert np.isnan(score.f1)
    assert score.unlabelled == 4
    assert list(score.measures["high"]) == [1.0, 1.0, 1.0]
    faulty = attempt(rule(when="message.size >"), FRAME.assign(group=LABELS)).score("group", "net")
    assert len(faulty.missed) == 4
