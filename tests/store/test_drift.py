"""Drift: a promoted rule on live mail against its backtest, and when that is an alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import InboundRule, Kolibri, NotFound, connect
from kolibri_sdk.frames import DRIFT
from kolibri_sdk.pipeline.drift import control_limits
from tests.project import ProjectFolder, letter

CREATE = {"create_record": {"entity": "incident", "set": {
    "title": "message.subject", "group": "'Network'", "priority": "3"}}}  # fmt: skip
EXAMPLES = [
    {"mail": "examples/vpn.eml", "match": True},
    {"mail": "examples/printer.eml", "match": False},
]


@pytest.fixture
def folder(tmp_path: Path, url: str) -> ProjectFolder:
    folder = ProjectFolder(tmp_path, url)
    folder.upgrade()
    folder.use_shipped_rules("entities")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    folder.mailbox("support", inbound={"protocol": "maildir", "path": str(tmp_path / "mail")})
    for name in ("vpn", "printer"):
        folder.write(f"rules/inbound/support/examples/{name}.eml", letter(name))
    return folder


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    """Sixty mails came, six of them on VPN; by the labels the rule is right on all."""
    receive(folder, vpn=6, other=54, name="old")
    with connect(project=folder.root, user="anna") as opened:
        list(opened.poll(passes=1))
        given = {"when": "/vpn/i.test(message.subject)", "then": [CREATE], "examples": EXAMPLES}
        rule = opened.rules.adopt(InboundRule("vpn", mailbox="support", **given)).save()
        frame = opened.messages.frame()
        trial = rule.backtest(frame)
        trial.score(frame["subject"].str.contains("vpn"), True)
        rule.promote(reason="ready", backtest=trial)
        yield opened


def receive(folder: ProjectFolder, vpn: int, other: int, name: str) -> None:
    for number in range(vpn + other):
        subject = f"vpn {number}" if number < vpn else f"Printer {number}"
        (folder.root / "mail/new" / f"{name}{number}").write_bytes(letter(subject))


def drift(k: Kolibri) -> dict[str, dict[str, object]]:
    rule = k.rules["vpn"]
    assert isinstance(rule, InboundRule)
    frame = rule.drift()
    assert {n: str(d) for n, d in frame.dtypes.items()} == {n: c.dtype for n, c in DRIFT.items()}
    return {str(row["rate"]): row for row in frame.to_dict("records")}  # type: ignore[misc]


def test_live_mail_as_in_the_backtest_is_no_alarm(k: Kolibri, folder: ProjectFolder) -> None:
    assert drift(k)["match"]["of"] == 0
    receive(folder, vpn=8, other=52, name="live")
    (report,) = k.poll(passes=1)
    assert report.ok, report.errors
    match = drift(k)["match"]
    assert (match["count"], match["of"], match["expected"]) == (8, 60, 0.1)
    assert match["low"] < match["live"] < match["high"]  # type: ignore[operator]
    assert not any(row["alarm"] for row in drift(k).values())


def test_a_match_rate_outside_the_limits_is_told_everywhere(
    k: Kolibri, folder: ProjectFolder
) -> None:
    receive(folder, vpn=30, other=10, name="few")
    list(k.poll(passes=1))
    assert not drift(k)["match"]["alarm"], "forty mails are too few to say so"
    receive(folder, vpn=30, other=10, name="more")
    k._system.looked_for_drift = None
    (report,) = k.poll(passes=1)
    assert drift(k)["match"]["alarm"]
    (told,) = report.errors
    assert told.startswith("Drift: rule vpn (support) matches 75.0% of 80 mails; in backtest 1 it")
    (quiet,) = k.poll(passes=1)
    assert quiet.ok, "it is looked at every ten minutes"
    status = folder.kolibri("status")
    assert status.returncode == 1
    assert status.stderr.count("Drift: rule vpn") == 1
    shown = folder.kolibri("rules", "drift", "vpn")
    assert shown.returncode == 1
    assert "ALARM" in shown.stdout


def test_what_people_change_again_counts_against_the_rule(
    k: Kolibri, folder: ProjectFolder
) -> None:
    receive(folder, vpn=12, other=90, name="live")
    list(k.poll(passes=1))
    records = k.records["incident"].frame()
    for key in records["id"][:3]:
        k.records["incident", int(key)].update(group="Billing")
    k.records["incident", int(records["id"][3])].update(status="closed")  # not set by the rule
    found = drift(k)["overruled"]
    assert (found["count"], found["of"], found["expected"]) == (3, 12, 0.0)
    assert not found["alarm"], "six labelled mails prove little"
    for key in records["id"][4:12]:
        k.records["incident", int(key)].update(priority=1)
    found = drift(k)["overruled"]
    assert (found["count"], found["alarm"]) == (11, True)
    assert "is overruled by people on 91.7% of 12 mails" in folder.kolibri("status").stderr


def test_a_version_without_a_backtest_has_nothing_to_drift_from(
    k: Kolibri, folder: ProjectFolder
) -> None:
    path = folder.root / "rules/inbound/support/vpn.yaml"
    path.write_text(path.read_text().replace("/vpn/i", "/vpn|wlan/i"))
    k.rules.reload()
    with pytest.raises(NotFound, match="was not promoted by a backtest"):
        drift(k)
    (report,) = k.poll(passes=1)
    assert report.ok


@pytest.mark.parametrize(
    ("hits", "tries", "live", "limits"),
    [
        (500, 1000, 100, (34, 66)),  # the textbook's p-chart says 35 to 65
        (0, 100_000, 1000, (0, 1)),  # where it says 0 to 0: a single error would alarm
        (1, 10, 100, (0, 57)),  # ten mails prove little
        (10, 10, 50, (28, 50)),
    ],
)
def test_the_limits_are_those_of_the_beta_binomial_distribution(
    hits: int, tries: int, live: int, limits: tuple[int, int]
) -> None:
    assert control_limits(hits, tries, live) == limits
