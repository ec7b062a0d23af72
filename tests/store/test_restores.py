"""After a restore: what lay in the mailbox by then may have been answered, later mail was not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from kolibri_sdk import clock
from kolibri_sdk.store import Store, restores
from tests.store.conftest import MOMENT


def test_only_mail_of_that_mailbox_that_lay_there_may_have_been_answered(
    store: Store, fetched: Callable[..., list[int]]
) -> None:
    (mine,), (other,) = fetched(b"one"), fetched(b"two", mailbox="sales")
    with store.write() as tx:
        assert restores.answered_before(tx, mine) is None
    for late, expected in ((timedelta(minutes=4), True), (timedelta(minutes=6), False)):
        with clock.fixed(MOMENT - late), store.write() as tx:
            assert restores.note(tx, "support", "restored") == 0
            assert bool(restores.answered_before(tx, mine)) is expected
            assert restores.answered_before(tx, other) is None
