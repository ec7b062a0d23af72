"""The rule lab's notebook from top to bottom, on the invented desk and on mail of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from kolibri_sdk import InboundRule, read_mail
from kolibri_sdk.cli import app
from kolibri_sdk.demo.history import historic_mails, write_history
from tests.project import letter

pytestmark = pytest.mark.notebook


def outputs(report: Path) -> dict[str, Any]:
    """What each code cell shows, by its name: text, HTML, and whether there is a picture."""
    shown = {}
    for cell in nbformat.read(report, as_version=4).cells:
        if cell.cell_type == "code":
            data = [one.get("data", {}) for one in cell.outputs]
            shown[cell.id] = {
                "text": "".join(one.get("text", "") for one in cell.outputs)
                + "".join(str(one.get("text/plain", "")) for one in data),
                "html": "".join(one.get("text/html", "") for one in data),
                "picture": any("image/png" in one for one in data),
            }
    return shown


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "200"})


def test_the_tour_on_the_invented_desk(tmp_path: Path, invoke: Any) -> None:
    done = invoke("lab", "--report", "lab.ipynb", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["outcome"] == "fine"
    shown = outputs(tmp_path / "lab.ipynb")
    pictures = {name for name, what in shown.items() if what["picture"]}
    assert pictures >= {"timeline", "judged", "versions", "overlap"}
    assert "502 mails from 2026-01-" in shown["mail"]["text"]
    assert "95 % intervals" in shown["score"]["html"]
    assert "create-incident" in shown["set"]["html"]
    assert "records would be made" in shown["plan"]["html"]
    assert "gates" in shown["gates"]["html"]


def test_mail_of_ones_own_without_labels(tmp_path: Path, invoke: Any) -> None:
    box = tmp_path / "box"
    box.mkdir()
    for number in range(3):
        (box / f"{number}.eml").write_bytes(letter(f"VPN down {number}"))
    done = invoke("lab", box, "--report", "own.ipynb")
    assert done.exit_code == 0, done.output
    shown = outputs(tmp_path / "own.ipynb")
    assert "0 with a label" in shown["mail"]["text"]
    assert "give labels= and positive=" in shown["judged"]["text"]


def test_it_is_written_with_its_parameters_and_never_over_another_one(
    tmp_path: Path, invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kolibri_sdk.cli.lab.find_spec", lambda _: None)
    archive, labels = write_history(tmp_path / "history")
    for name in ("rule_lab.ipynb", "rule_lab-2.ipynb"):
        done = invoke("lab", archive, "--labels", labels, "--positive", "identity")
        assert done.exit_code == 2
        assert "not installed here" in done.output
        cells = nbformat.read(tmp_path / name, as_version=4).cells
        (injected,) = [c for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
        assert f'archive = "{archive}"' in injected.source
        assert 'positive = "identity"' in injected.source


def test_what_is_missing_is_told(invoke: Any, tmp_path: Path) -> None:
    done = invoke("lab", "nothing.mbox")
    assert (done.exit_code, "no archive nothing.mbox" in done.output) == (2, True)
    (tmp_path / "labels.csv").write_text("message_id,label\n")
    done = invoke("lab", "--labels", "labels.csv")
    assert (done.exit_code, "--positive" in done.output) == (2, True)


def test_the_invented_desk_is_the_same_every_time_and_hard_for_a_simple_rule(
    tmp_path: Path,
) -> None:
    archive, labels = write_history(tmp_path / "one")
    again, _ = write_history(tmp_path / "two")
    assert archive.read_bytes() == again.read_bytes()
    mail = read_mail(archive)
    assert len(mail) == len(historic_mails()) == mail["message_id"].nunique()
    assert not mail["defects"].map(len).any()
    label = mail["message_id"].map(pd.read_csv(labels).set_index("message_id")["label"])
    rule = InboundRule("vpn", mailbox="support", when="/vpn/i.test(message.subject)")
    score = rule.backtest(mail).score(label, "network")
    assert 0.5 < score.precision < 0.8
    assert score.recall < 0.2
    assert score.unlabelled
