"""The beat of the poller, the clean end on signals, and the keeping of reports."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from kolibri_sdk import clock
from kolibri_sdk.schedule import Stop, beat, discard_old_reports, report_path, stop_on_signals


def test_the_beat_counts_from_start_to_start() -> None:
    begun = []
    for _ in beat(3, every=0.4, stop=Stop()):
        begun.append(time.monotonic())
        time.sleep(0.2)
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert all(0.35 < pause < 0.7 for pause in pauses)


def test_a_round_longer_than_the_beat_is_followed_at_once() -> None:
    started = time.monotonic()
    for _ in beat(2, every=0.1, stop=Stop()):
        time.sleep(0.3)
    assert time.monotonic() - started < 0.8


def test_without_a_number_it_goes_on_until_it_is_stopped() -> None:
    stop = Stop()
    rounds = []
    for number in beat(None, every=0, stop=stop):
        rounds.append(number)
        stop.requested = number == 50
    assert rounds == list(range(1, 51))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_round_at_hand_end_and_cuts_the_pause_short(number: int) -> None:
    started = time.monotonic()
    finished = []
    with stop_on_signals() as stop:
        for rounds in beat(None, every=60, stop=stop):
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            finished.append(rounds)
    assert finished == [1]
    assert time.monotonic() - started < 5


def test_a_second_ctrl_c_breaks_off() -> None:
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)


def test_the_handlers_of_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_outside_the_main_thread_it_works_without_handlers() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_on_signals() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_the_last_reports_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    made = []
    for minutes in range(5):
        moment = datetime(2026, 5, 1, 23, 58, tzinfo=UTC) + timedelta(minutes=minutes)
        with clock.fixed(moment):
            made.append(report_path(tmp_path, "poller"))
        made[-1].write_text("{}")
    others = [tmp_path / "poller-notes.ipynb", tmp_path / "lab-20260501T000000.000Z.ipynb"]
    for other in others:
        other.write_text("{}")
    assert discard_old_reports(tmp_path, "poller", keep=2) == made[:3]
    assert sorted(tmp_path.iterdir()) == sorted([*made[3:], *others])
