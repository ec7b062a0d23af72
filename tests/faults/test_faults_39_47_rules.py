"""Faults 39-47: hostile and failing rules, actions and templates, within whole passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kolibri_sdk import action, clock
from kolibri_sdk.actions import ActionScene
from tests.faults.conftest import NewDesk
from tests.faults.desk import INCIDENT, Desk, once_at
from tests.project import letter

#: The condition, what it is decided to be on the mail that it is hostile to, and on the others.
HOSTILE = {
    # 39
    "syntax": ("message.subject ===", "error", "error"),
    "throws": ("message.nothing.at.all", "error", "error"),
    "text": ('"yes"', "error", "error"),
    "promise": ("Promise.resolve(true)", "error", "error"),
    # 40
    "loop": ('message.subject === "guilty" && (() => { for (;;); })()', "timeout", "no"),
    "regex": (
        'message.subject === "guilty" && /^(a+)+$/.test("a".repeat(60) + "b")', "timeout", "no",
    ),
    # 41
    "array": (
        'message.subject === "guilty" && new Array(2 ** 27).fill({}).map(x => [x]).length < 0',
        "fault", "no",
    ),
    "split": ('message.subject === "guilty" && "x".repeat(2 ** 28).split("").length < 0',
        "fault", "no"),
    "buffers": (
        'message.subject === "guilty" && [...Array(8)].map(() => '
        "new Uint8Array(2 ** 28).fill(1)).length < 0",
        "fault", "no",
    ),
    # 42
    "prototype": ("Object.prototype.automatic = true", "error", "error"),
    "regexp": ("(RegExp.prototype.test = () => false, true)", "error", "error"),
    "globals": ("delete globalThis.JSON && typeof JSON === 'object'", "error", "error"),
    "changes the mail": ('(message.subject = "changed") === "changed"', "error", "error"),
    # 43
    "network": ('fetch("http://127.0.0.1/")', "error", "error"),
    "file": ('require("fs").readFileSync("/etc/passwd").length > 0', "error", "error"),
    "process": ("process.exit(1)", "error", "error"),
    "import": ('import("fs")', "error", "error"),
    "eval": ('Function("return this")().constructor.constructor("return process")()',
        "error", "error"),
}  # fmt: skip
MAILS = [letter("guilty"), letter("VPN down"), letter("ordinary"), letter("aaaa")]
#: Rules that read the mail in many ways; their results must not depend on who else is asked.
GOOD = {
    "vpn": '/vpn/i.test(message.subject) && !JSON.stringify(message).includes("changed")',
    "long": "message.text.split(' ').length > 3 && ({}).automatic === undefined",
    "from": 'message.from.address.endsWith("customer.example")',
}


def play(desk: Desk) -> dict[tuple[str, str], str]:
    """Deliver the mails and poll; what the good rules said of each, and made of it."""
    for number, (name, when) in enumerate(GOOD.items()):
        desk.rule(name, {"order": 200 + number, "when": when})
    desk.drop(*MAILS)
    desk.poll()
    return verdicts(desk, [*GOOD, "incident"])


def verdicts(desk: Desk, rules: list[str]) -> dict[tuple[str, str], str]:
    found = desk.rows(
        "SELECT m.subject, d.rule, d.verdict FROM kolibri_decision d "
        "JOIN kolibri_message m ON m.id = d.message"
    )
    said = {(subject, rule): verdict for subject, rule, verdict in found if rule in rules}
    subjects = desk.states()
    # A plain no takes no row.
    return {(s, rule): said.get((s, rule), "no") for s in subjects for rule in rules}


@pytest.mark.parametrize("name", HOSTILE)
def test_faults_39_to_43_a_hostile_condition_stays_alone(new_desk: NewDesk, name: str) -> None:
    undisturbed, desk = new_desk(), new_desk()
    expected = play(undisturbed)
    assert set(expected.values()) == {"match", "no"}
    when, on_guilty, on_others = HOSTILE[name]
    file = desk.rule("hostile", {"order": 1, "when": when}).relative_to(desk.root)

    assert play(desk) == expected, "the other rules' results are the same, to the letter"

    said = verdicts(desk, ["hostile"])
    # Whether time or memory runs out first depends on the machine.
    faults = {"error", "timeout", "crash"} if on_guilty == "fault" else {on_guilty}
    assert said.pop(("guilty", "hostile")) in faults
    assert set(said.values()) == {on_others}
    assert desk.titles() == undisturbed.titles() == ["guilty", "VPN down", "ordinary", "aaaa"]
    ((told,),) = desk.rows("SELECT error FROM kolibri_message WHERE subject = 'guilty'")
    assert "hostile" in told
    assert str(file) in told, "with the file"
    assert desk.states() == dict.fromkeys(desk.states(), "done")

    desk.drop(letter("afterwards"))
    desk.poll()
    assert desk.titles()[-1] == "afterwards", "the poller goes on"


def test_fault_39_the_line_of_the_fault_is_told(desk: Desk) -> None:
    document = {"order": 1, "when": "message.subject !== null &&\n  message.nothing.at.all"}
    desk.rule("hostile", document)
    desk.drop(letter("Request"))

    report = desk.poll()

    (told,) = [error for error in report.errors if "hostile" in error]
    assert "rules/inbound/support/hostile.yaml" in told
    assert "line 2" in told


def test_faults_39_to_43_all_at_once(new_desk: NewDesk) -> None:
    undisturbed, desk = new_desk(), new_desk()
    expected = play(undisturbed)
    for number, (name, (when, _, _)) in enumerate(HOSTILE.items()):
        desk.rule(f"hostile-{name.replace(' ', '-')}", {"order": 1 + number, "when": when})

    elapsed = clock.stopwatch()
    assert play(desk) == expected
    assert elapsed() < 30, "each overrun costs its deadline, and no more"


@pytest.mark.parametrize("deleted", [False, True])
def test_fault_44_a_rule_changed_or_deleted_during_a_run(desk: Desk, deleted: bool) -> None:
    changed = INCIDENT | {"when": 'message.subject === "never"'}
    path = desk.root / "rules/inbound/support/incident.yaml"
    desk.drop(letter("One"))
    once_at("fetch.listed", path.unlink if deleted else lambda: desk.rule("incident", changed))

    desk.healthy_poll()

    assert desk.titles() == ["One"], "a run keeps the version that it began with"
    (digest,) = desk.column("SELECT digest FROM kolibri_decision")
    kept = desk.rows(f"SELECT rule, document FROM kolibri_rule_version WHERE digest = '{digest}'")
    assert len(kept) == 1, "and its text is on record"
    assert "message.automatic" in str(kept)

    desk.drop(letter("Two"))
    desk.healthy_poll()
    assert desk.titles() == ["One"], "the next run has the new one"
    assert desk.states() == {"One": "done", "Two": "done"}


class Failing:
    """A Python action that fails on mails of one subject while ``broken``."""

    def __init__(self) -> None:
        self.broken = True
        self.calls = 0

    def __call__(self, scene: ActionScene) -> None:
        if scene.message.subject == "guilty":
            self.calls += 1
            scene.add_note("half way")
            if self.broken:
                raise RuntimeError("the other system is down")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    from kolibri_sdk.actions import registry

    monkeypatch.setattr(registry, "_actions", {})
    function = Failing()
    action("fail-sometimes")(_named(function))
    return function


def _named(function: Failing) -> Any:
    def fail_sometimes(scene: ActionScene) -> None:
        function(scene)

    return fail_sometimes


def acting(desk: Desk) -> None:
    """The rule makes an incident, answers, and then calls what fails."""
    then = [
        *INCIDENT["then"],  # type: ignore[misc]
        {"send_mail": {"template": "received", "to": {"field": "caller"}}},
        {"call": {"name": "fail-sometimes"}},
    ]
    desk.rule("incident", INCIDENT | {"then": then})
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")


def test_fault_45_an_action_that_fails_undoes_everything_of_its_mail_and_no_other(
    desk: Desk, failing: Failing
) -> None:
    acting(desk)
    desk.drop(letter("One"), letter("guilty"), letter("Two", sender="b@customer.example"))

    report = desk.poll()

    assert desk.states() == {"One": "done", "guilty": "failed", "Two": "done"}
    assert desk.titles() == ["One", "Two"]
    assert desk.column("SELECT count(*) FROM kolibri_activity WHERE text = 'half way'") == [0]
    assert len(desk.sent()) == 2
    assert any("the other system is down" in e and "try 1 of 5" in e for e in report.errors)

    failing.broken = False
    desk.healthy_poll()
    assert desk.states() == {"One": "done", "guilty": "done", "Two": "done"}
    assert desk.titles() == ["One", "Two", "guilty"]
    assert desk.column("SELECT count(*) FROM kolibri_activity WHERE text = 'half way'") == [1]
    assert len(desk.sent()) == 3


def test_fault_45_an_action_that_fails_for_ever_is_given_up_and_stays_visible(
    desk: Desk, failing: Failing
) -> None:
    acting(desk)
    desk.drop(letter("guilty"))

    reports = [desk.poll() for _ in range(8)]

    assert failing.calls == 5
    assert [report.ok for report in reports] == [False] * 5 + [True] * 3
    assert any("given up" in error for error in reports[4].errors)
    ((state, error),) = desk.rows("SELECT state, error FROM kolibri_message")
    assert state == "failed"
    assert "the other system is down" in error
    assert desk.titles() == []
    assert desk.sent() == []


TEMPLATES = {
    "missing field": ("Hello\n{{ record.titel }}", "line 2"),
    "error in a line": ("One\nTwo\n{{ 1 / 0 }}", "line 3"),
    "syntax": ("One\n{% if %}", "line 2"),
    "huge": ("{{ 'a' * 2000000000 }}", ""),
    "endless": (
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "",
    ),
    "attribute attack": ("{{ ''.__class__.__mro__ }}", "line 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_fault_47_a_template_that_fails_keeps_its_own_mail_and_nothing_else(
    desk: Desk, name: str
) -> None:
    source, place = TEMPLATES[name]
    then = [
        *INCIDENT["then"],  # type: ignore[misc]
        {"send_mail": {"template": "bad", "to": {"field": "caller"}}},
        {"send_mail": {"template": "good", "to": [{"list": "duty@customer.example"}]}},
    ]
    desk.rule("incident", INCIDENT | {"then": then})
    desk.folder.template("bad", en_subject="Thanks", en_txt=source)
    desk.folder.template("good", en_subject="Thanks", en_txt="Thank you for {{ record.title }}.")
    desk.drop(letter("Request"))

    report = desk.poll()

    assert desk.titles() == ["Request"], "the record is made whatever the template does"
    assert [str(mail["To"]) for mail in desk.sent()] == ["duty@customer.example"]
    bad, good = desk.rows("SELECT state, error FROM kolibri_outbox ORDER BY id")
    assert bad[0] == "failed"
    assert good == ("sent", "")
    assert "bad/en.txt.j2" in bad[1]
    assert place in bad[1]
    assert any("bad/en.txt.j2" in error for error in report.errors)
    with clock.fixed(clock.now() + timedelta(hours=1)):
        desk.healthy_poll()
    assert len(desk.sent()) == 1


def test_fault_45_an_entity_whose_table_does_not_fit_stops_its_own_rules_alone(desk: Desk) -> None:
    desk.drop(letter("One"))
    desk.healthy_poll()
    fields = {"table": "incident", "fields": {"title": "text", "nowhere": "text"}}
    desk.folder.document("rules/entities/misfit.yaml", fields)
    misfit = {"create_record": {"entity": "misfit", "set": {"title": "message.subject"}}}
    desk.rule("misfit", {"order": 1, "when": 'message.subject === "guilty"', "then": [misfit]})
    desk.drop(letter("guilty"), letter("Two"))

    report = desk.poll()

    assert any("no column 'nowhere'" in error for error in report.errors), report.errors
    assert desk.states() == {"One": "done", "guilty": "failed", "Two": "done"}
    assert desk.titles() == ["One", "Two"]
