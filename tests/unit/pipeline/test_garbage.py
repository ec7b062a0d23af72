"""The garbage collector waits while a batch is at work, and only then."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from kolibri_sdk.pipeline import garbage


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_waits_within_the_block_and_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="a fault"), garbage.waiting():
        assert not gc.isenabled()
        raise ValueError("a fault")

    assert gc.isenabled()


def test_a_block_within_a_block_does_not_end_the_wait() -> None:
    with garbage.waiting():
        with garbage.waiting():
            pass
        assert not gc.isenabled()

    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_switched_off() -> None:
    gc.disable()

    with garbage.waiting():
        pass

    assert not gc.isenabled()
