"""Releases on both databases: from draft to active by a proof, and every step is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kolibri_sdk import ConfigurationError, InboundRule, Kolibri, NotFound, connect
from kolibri_sdk.frames import BACKTESTS, RELEASES
from kolibri_sdk.lab import Trial
from tests.project import ProjectFolder, letter

WHEN = "/vpn/i.test(message.subject)"
FILE = "rules/inbound/support/vpn.yaml"
EXAMPLES = [
    {"mail": "examples/vpn.eml", "match": True},
    {"mail": "examples/printer.eml", "match": False},
]


@pytest.fixture
def folder(tmp_path: Path, url: str) -> ProjectFolder:
    """A project with a mailbox that six mails lie in."""
    folder = ProjectFolder(tmp_path, url)
    folder.upgrade()
    folder.use_shipped_rules("entities")
    for name in ("new", "cur", "tmp"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    folder.mailbox("support", inbound={"protocol": "maildir", "path": str(tmp_path / "mail")})
    for number, subject in enumerate(["VPN", "vpn again", "Printer", "Mouse", "Tunnel", "Screen"]):
        deliver(folder, subject, str(number))
    for name in ("vpn", "printer"):
        folder.write(f"rules/inbound/support/examples/{name}.eml", letter(name))
    return folder


def deliver(folder: ProjectFolder, subject: str, name: str) -> None:
    (folder.root / "mail/new" / name).write_bytes(letter(subject))


@pytest.fixture
def k(folder: ProjectFolder) -> Iterator[Kolibri]:
    with connect(project=folder.root, user="anna") as opened:
        list(opened.poll(passes=1))
        yield opened


def new_rule(k: Kolibri, **more: object) -> InboundRule:
    note = [{"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}]
    values = {"when": WHEN, "then": note, "examples": EXAMPLES, **more}
    return k.rules.adopt(InboundRule("vpn", mailbox="support", **values))


def trial_of(k: Kolibri, rule: InboundRule) -> Trial:
    return rule.backtest(k.messages.frame(mailbox="support"))


def state_in(folder: ProjectFolder) -> str:
    (line,) = (x for x in (folder.root / FILE).read_text().splitlines() if x.startswith("state:"))
    return line.removeprefix("state: ")


def test_draft_shadow_active_and_what_each_does_on_live_mail(
    k: Kolibri, folder: ProjectFolder
) -> None:
    rule = new_rule(k).save()
    assert state_in(folder) == "draft"
    deliver(folder, "VPN while draft", "10")
    list(k.poll(passes=1))
    assert len(k.decisions.frame(rule="vpn")) == 0
    rule = rule.shadow("let us see")
    deliver(folder, "VPN in the shadow", "11")
    list(k.poll(passes=1))
    (decision,) = k.decisions.frame(rule="vpn", verdict="match").to_dict("records")
    assert decision["shadow"]
    assert decision["actions"] == []
    assert len(k.records["incident"].frame()) == 0
    rule = rule.promote(reason="seen for a week", backtest=trial_of(k, rule))
    assert rule.state == "active"
    assert state_in(folder) == "active"
    deliver(folder, "VPN for real", "12")
    (report,) = k.poll(passes=1)
    assert report.ok, report.errors
    assert list(k.records["incident"].frame()["title"]) == ["VPN for real"]


def test_the_audit_tells_who_when_why_and_by_which_proof(k: Kolibri) -> None:
    rule = new_rule(k).save()
    trial = trial_of(k, rule)
    rule = rule.shadow("first look").promote(reason="  good  ", backtest=trial)
    frame = rule.history()
    assert {n: str(d) for n, d in frame.dtypes.items()} == {n: c.dtype for n, c in RELEASES.items()}
    assert list(zip(frame["step"], frame["was"], frame["state"], strict=True)) == [
        ("save", "new", "draft"), ("shadow", "draft", "shadow"), ("promote", "shadow", "active"),
    ]  # fmt: skip
    assert set(frame["author"]) == {"anna"}
    assert list(frame["reason"]) == ["", "first look", "good"]
    assert set(frame["digest"]) == {rule.digest}
    (proof,) = k.audit.backtests().to_dict("records")
    assert frame["backtest"].iloc[-1] == proof["id"]
    assert (proof["mails"], proof["tried"], proof["matches"], proof["errors"]) == (6, 6, 2, 0)
    assert proof["digest"] == rule.digest
    assert proof["first_at"] <= proof["last_at"]
    assert len(k.audit.frame(rule="other")) == 0
    assert {n: str(d) for n, d in k.audit.backtests().dtypes.items()} == {
        n: c.dtype for n, c in BACKTESTS.items()
    }
    again = k.rules["vpn"]
    assert isinstance(again, InboundRule)
    again.promote(reason="once more", backtest=trial_of(k, again))
    assert len(k.audit.backtests()) == 1, "the same mails and figures are the same proof"


def test_no_proof_of_exactly_this_version_no_promotion(k: Kolibri, folder: ProjectFolder) -> None:
    rule = new_rule(k).save()
    with pytest.raises(
        ConfigurationError,
        match=r"no backtest of vpn as it is .*kolibri backtest --mailbox support --rule vpn --keep",
    ):
        rule.promote(reason="now")
    wider = rule.but(when="/vpn|tunnel/i.test(message.subject)")
    with pytest.raises(ConfigurationError, match="of its version"):
        rule.promote(reason="now", backtest=trial_of(k, wider))
    with pytest.raises(ConfigurationError, match="of no mail"):
        rule.promote(reason="now", backtest=rule.backtest(k.messages.frame().iloc[:0]))
    with pytest.raises(ConfigurationError, match="asks for a reason"):
        rule.promote(reason=" ", backtest=trial_of(k, rule))
    with pytest.raises(NotFound, match="no backtest 99"):
        rule.promote(reason="now", backtest=99)
    assert state_in(folder) == "draft"
    rule.promote(reason="now", backtest=trial_of(k, rule))
    with pytest.raises(ConfigurationError, match="Backtest 1 is of the version"):
        wider.promote(reason="now", backtest=1)


def test_a_promotion_asks_for_examples_that_hold(k: Kolibri) -> None:
    rule = new_rule(k, examples=EXAMPLES[:1]).save()
    with pytest.raises(ConfigurationError, match="no golden example that does not match"):
        rule.promote(reason="now", backtest=trial_of(k, rule))
    wrong = rule.but(examples=[EXAMPLES[0], {**EXAMPLES[1], "match": True}, EXAMPLES[1]])
    with pytest.raises(ConfigurationError, match=r"breaks its golden(.|\n)*should be match"):
        wrong.promote(reason="now", backtest=trial_of(k, wrong))


def test_a_new_text_is_promoted_in_the_place_of_the_old_one_and_rolled_back(
    k: Kolibri, folder: ProjectFolder
) -> None:
    rule = new_rule(k).save()
    first = rule.promote(reason="one", backtest=trial_of(k, rule))
    path = folder.root / FILE
    path.write_text(path.read_text().replace("when:", "# what people write\nwhen:"))
    k.rules.reload()
    wider = k.rules["vpn"].but(when="/vpn|tunnel/i.test(message.subject)", description="wider")  # type: ignore[union-attr]
    with pytest.raises(ConfigurationError, match="is active; saving would put an unproven"):
        wider.save()
    second = wider.promote(reason="two", backtest=trial_of(k, wider))
    assert "# what people write\nwhen: /vpn|tunnel/i" in path.read_text()
    with pytest.raises(NotFound, match="no version 'ffff'"):
        second.rollback("ffff")
    back = second.rollback(reason="too wide")
    assert back.digest == first.digest
    assert back.description == "wider", "what it does is rolled back, not what is said of it"
    assert "# what people write\nwhen: /vpn/i" in path.read_text()
    assert back.rollback().digest == second.digest, "the one that was active before"
    assert k.rules["vpn"].rollback(first.digest[:10]).digest == first.digest  # type: ignore[union-attr]
    assert list(back.history()["step"]) == ["save", "promote", "promote", *["rollback"] * 3]
    assert back.history()["backtest"].iloc[-1] == 1


def test_what_somebody_else_changed_meanwhile_is_not_lost(
    k: Kolibri, folder: ProjectFolder
) -> None:
    rule = new_rule(k).save()
    path = folder.root / FILE
    path.write_text(path.read_text() + "description: by hand\n")
    rule = rule.shadow()
    assert "description: by hand" in path.read_text()
    path.write_text(path.read_text().replace("/vpn/i", "/vpn|wlan/i"))
    with pytest.raises(ConfigurationError, match=r"nothing was saved(.|\n)*\+when: /vpn\|wlan/i"):
        rule.promote(reason="x", backtest=trial_of(k, rule))
    assert state_in(folder) == "shadow"
    path.unlink()
    with pytest.raises(ConfigurationError, match="not there any more"):
        rule.save()


def test_a_rule_with_a_mistake_is_not_saved(k: Kolibri, folder: ProjectFolder) -> None:
    with pytest.raises(ConfigurationError, match="has mistakes; nothing was saved"):
        new_rule(k, when="message.subject.(").save()
    new_rule(k).save()
    with pytest.raises(ConfigurationError, match=r"order 1000 is that of the rule vpn.*order=100"):
        k.rules.adopt(InboundRule("other", mailbox="support", when="true")).save()
    with pytest.raises(ConfigurationError, match="already, which does something else"):
        k.rules.adopt(InboundRule("vpn", mailbox="support", when="true")).save()
    with pytest.raises(ConfigurationError, match=r"belongs to no project.*k\.rules\.adopt"):
        InboundRule("vpn", mailbox="support", when="true").save()
    assert sorted(x.name for x in (folder.root / FILE).parent.glob("*.yaml")) == ["vpn.yaml"]


def test_a_state_that_was_set_by_hand_is_told_and_not_refused(
    k: Kolibri, folder: ProjectFolder
) -> None:
    rule = new_rule(k).save()
    assert not any("no backtest of it" in one.message for one in k.check())
    path = folder.root / FILE
    path.write_text(path.read_text().replace("state: draft", "state: active"))
    (told,) = [one for one in k.check() if "no backtest of it" in one.message]
    assert told.severity == "warning"
    assert "kolibri backtest --mailbox support --rule vpn --keep" in told.mend
    assert (told.file, told.line) == (FILE, 3)
    deliver(folder, "VPN", "20")
    list(k.poll(passes=1))
    assert len(k.records["incident"].frame()) == 1, "it works all the same"
    k.rules["vpn"].promote(reason="late", backtest=trial_of(k, rule))  # type: ignore[union-attr]
    assert not any("no backtest of it" in one.message for one in k.check())
