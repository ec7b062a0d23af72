"""Decisions: what every rule said, once per message or event, for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from kolibri_sdk.model.decision import Decision, Said, Verdict
from kolibri_sdk.store import Store, decisions
from kolibri_sdk.store.decisions import Decided
from tests.store.conftest import count

Enter = Callable[..., list[int]]
NO = Decision("spam", "d1", Verdict.NO, micros=3.0)
MATCH = Decision("vpn", "d2", Verdict.MATCH, micros=4.5)
ERROR = Decision("odd", "d3", Verdict.ERROR, "x is not defined", 2, 7)
DONE = {"vpn": [{"action": "create_record", "record": ["incident", "7"]}]}


def test_decisions_come_back_in_the_order_of_the_rules(store: Store, fetched: Enter) -> None:
    one, two = fetched(b"1", b"2")
    with store.write() as tx:
        decisions.add(
            tx,
            [
                Decided(Said([NO, MATCH, ERROR]), message=one, actions=DONE),
                Decided(Said([NO]), message=two),
            ],
        )
    with store.read() as tx:
        every = decisions.select(tx)
        told = decisions.select(tx, message_id=one)
        assert count(tx, "kolibri_decision") == 2  # a plain no takes no row
    assert [(d["message"], d["rule"], d["verdict"]) for d in every] == [
        (one, "spam", "no"),
        (one, "vpn", "match"),
        (one, "odd", "error"),
        (two, "spam", "no"),
    ]
    assert told == every[:3]
    match, error = every[1:3]
    assert (match["digest"], match["micros"], match["actions"]) == ("d2", 4.5, DONE["vpn"])
    assert (error["reason"], error["line"], error["column"]) == ("x is not defined", 2, 7)


def test_decisions_are_found_by_rule_and_verdict(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"1")
    with store.write() as tx:
        decisions.add(tx, [Decided(Said([NO, MATCH]), message=number)])
    with store.read() as tx:
        assert [d["rule"] for d in decisions.select(tx, rule="vpn")] == ["vpn"]
        assert [d["rule"] for d in decisions.select(tx, verdict="no")] == ["spam"]
        assert decisions.select(tx, rule="vpn", verdict="no") == []


def test_a_rule_decides_on_a_message_once(store: Store, fetched: Enter) -> None:
    (number,) = fetched(b"1")
    with store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), message=number)])
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), message=number)])


def test_a_rule_decides_on_an_event_once(store: Store) -> None:
    with store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), event=7)])
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), event=7)])
    with store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), event=8)])


def test_a_failed_try_is_taken_back(store: Store, fetched: Enter) -> None:
    one, two = fetched(b"1", b"2")
    with store.write() as tx:
        decisions.add(tx, [Decided(Said([MATCH]), message=n) for n in (one, two)])
    with store.write() as tx:
        decisions.withdraw(tx, one)
        decisions.add(tx, [Decided(Said([ERROR]), message=one)])
    with store.read() as tx:
        assert [(d["message"], d["rule"]) for d in decisions.select(tx)] == [
            (one, "odd"),
            (two, "vpn"),
        ]


def test_the_text_of_a_rule_is_kept_when_it_is_first_seen(store: Store) -> None:
    with store.write() as tx:
        decisions.note_versions(tx, {"d1": ("spam", {"when": "true"})})
        decisions.note_versions(tx, {})
        decisions.note_versions(tx, {"d1": ("spam", {"when": "false"}), "d2": ("vpn", {})})
        rows = tx.execute(sa.text("select digest, rule, document from kolibri_rule_version"))
        kept = {row.digest: (row.rule, row.document) for row in rows}
    assert kept.keys() == {"d1", "d2"}
    assert "true" in str(kept["d1"][1])
