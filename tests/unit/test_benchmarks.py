"""The benchmarks measure what they say: believable mails, results that stay until replaced."""

from __future__ import annotations

import email
import json
import statistics
from pathlib import Path

import pytest

from kolibri_sdk.mail import parse_mail
from tests.benchmarks import measure
from tests.benchmarks.corpus import mails
from tests.benchmarks.measure import Result


def test_the_mails_are_as_large_and_as_varied_as_those_of_a_service_desk() -> None:
    letters = list(mails(1_000))
    read = [parse_mail(raw) for raw in letters]
    assert statistics.mean(map(len, letters)) == pytest.approx(27_000, rel=0.05)
    assert not [mail.defects for mail in read if mail.defects]
    assert sum(mail.html is not None for mail in read) == 200
    assert sum(len(mail.attachments) for mail in read) == 200
    assert sum(bool(mail.in_reply_to) for mail in read) == 300
    assert sum("Mit freundlichen Grüßen" in mail.text for mail in read) > 300
    assert sum("Kind regards" in mail.text for mail in read) > 300


def test_the_standard_library_finds_nothing_wrong_with_the_mails_either() -> None:
    for raw in mails(100):
        assert not [part.defects for part in email.message_from_bytes(raw).walk() if part.defects]


def test_the_mails_of_a_seed_are_always_the_same() -> None:
    assert list(mails(20)) == list(mails(20))
    assert list(mails(20)) != list(mails(20, seed=8))


def test_results_of_benchmarks_that_were_not_run_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "LATEST", tmp_path / "latest.json")
    measure.write([Result.of("incoming", "a", [2.0], 1, "higher")])
    measure.write([Result.of("lab", "b", [2.0, 4.0, 3.0], 1, "lower")])
    rows = json.loads((tmp_path / "latest.json").read_text())["results"]
    assert [(row["id"], row["ratio"], row["met"]) for row in rows] == [
        ("a", 2.0, True),
        ("b", 3.0, False),
    ]
    assert rows[1]["rounds"] == 3
