"""The report of a pass: for people, for machines, for a notebook."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from kolibri_sdk.pipeline import COUNTS, PassReport

MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def report() -> PassReport:
    one = PassReport(MOMENT, MOMENT + timedelta(seconds=1.25))
    one.count("support", "fetched", 3)
    one.count("support", "stored", 2)
    one.count("sales", "fetched", 1)
    one.count("sales", "stored", 0)
    one.counts["held"] = 1
    return one


def test_counts_are_kept_by_mailbox_and_in_all() -> None:
    one = report()
    assert one.counts["fetched"] == 4
    assert one.mailboxes == {"support": {"fetched": 3, "stored": 2}, "sales": {"fetched": 1}}


def test_a_line_for_people() -> None:
    one = report()
    assert one.ok
    assert one.seconds == 1.25
    told = "4 fetched · 2 stored · 0 referenced · 0 records · 0 sent · 1 held  (1.2 s)"
    assert one.line() == str(one) == f"2026-05-01 08:00:00Z  {told}"


def test_errors_are_counted_in_the_line_and_told_below() -> None:
    one = report()
    one.errors.append("Mailbox support: the line was lost")
    assert not one.ok
    assert one.line().endswith("  1 ERROR")
    assert str(one).endswith("1 ERROR\n  Mailbox support: the line was lost")
    one.errors.append("another")
    assert one.line().endswith("  2 ERRORS")


def test_plain_json_for_machines() -> None:
    one = report()
    one.refuse(["no mail to a@b: is our own mailbox"])
    told = json.loads(json.dumps(one.as_json()))
    assert set(COUNTS) <= told.keys()
    assert (told["fetched"], told["sent"], told["seconds"]) == (4, 0, 1.25)
    assert told["started_at"] == "2026-05-01T08:00:00+00:00"
    assert told["refused"] == ["no mail to a@b: is our own mailbox"]


def test_what_is_refused_is_told_once() -> None:
    one = report()
    one.refuse(["a", "b"])
    one.refuse(iter(["b", "c"]))
    assert one.refused == ["a", "b", "c"]


def test_a_pass_that_has_not_ended() -> None:
    assert PassReport(MOMENT).seconds == 0.0


def test_nothing_in_a_report_is_taken_as_html() -> None:
    one = report()
    one.errors.append("<script>x</script>")
    shown = one._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert "mails taken from servers" in shown
    assert ">4<" in shown
