"""The report of a run: sums, errors told once, and nothing that a mail says taken as HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kolibri_sdk.errors import RunFailed
from kolibri_sdk.notebook import RunReport
from kolibri_sdk.pipeline import PassReport

BEGIN = datetime(2026, 5, 1, 8, tzinfo=UTC)


def made(number: int, *errors: str, **counts: int) -> PassReport:
    report = PassReport(started_at=BEGIN + timedelta(seconds=30 * number))
    report.finished_at = report.started_at + timedelta(seconds=2)
    report.counts.update(counts)
    report.errors.extend(errors)
    return report


def run_of(*passes: PassReport) -> RunReport:
    run = RunReport()
    for report in passes:
        run.add(report)
    return run


def test_the_headline_adds_up_and_names_the_span() -> None:
    run = run_of(made(0, fetched=3, stored=2, sent=1), made(1, fetched=1, stored=1))
    assert run.headline() == (
        "2 passes, 2026-05-01 08:00:00 to 08:00:32 UTC: 4 fetched, 3 stored, 0 referenced, "
        "0 records, 1 sent; no errors."
    )


def test_an_error_is_printed_when_it_is_new_and_counted_ever_after() -> None:
    run = RunReport()
    first, second = run.add(made(0, "no line")), run.add(made(1, "no line", "no disk"))
    assert first.splitlines()[1:] == ["  no line"]
    assert second.splitlines()[1:] == ["  no disk"]
    with pytest.raises(RunFailed) as failed:
        run.raise_for_errors()
    assert str(failed.value).splitlines() == [
        "2 of 2 passes had errors:",
        "  08:00:00Z to 08:00:30Z, 2 times  no line",
        "  08:00:30Z  no disk",
        "Everything else was done",
    ]


def test_a_run_without_errors_does_not_fail() -> None:
    run_of(made(0), made(1)).raise_for_errors()


def test_what_a_mail_says_is_never_html() -> None:
    report = made(0, "Mailbox <script>alert('box')</script>: gone", fetched=1)
    report.count("<b>box</b>", "fetched")
    report.refuse(["no mail to <img src=x onerror=alert(1)>"])
    shown = run_of(report)._repr_html_()
    for tag in ("<script", "<img", "<b>box"):
        assert tag not in shown
    assert "&lt;script&gt;" in shown
    assert "mathjax_ignore" in shown


def test_a_long_run_lists_the_passes_in_which_something_happened() -> None:
    passes = [made(number, fetched=int(number == 7)) for number in range(2880)]
    run = run_of(*passes)
    shown = run._repr_html_()
    assert "2,879 earlier or quiet passes are not listed" in shown
    assert ">8</td>" in shown
    assert len(shown) < 5000
    picture, _ = run.plot()._repr_png_()
    assert picture.startswith(b"\x89PNG")


def test_a_run_that_was_stopped_before_its_first_pass_shows_itself() -> None:
    run = RunReport()
    assert "No pass was made." in run._repr_html_()
    assert run.plot()._repr_png_()[0].startswith(b"\x89PNG")
