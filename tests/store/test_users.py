"""Users: found by id and by address, whatever the case."""

from __future__ import annotations

import pytest

from kolibri_sdk.errors import KolibriError
from kolibri_sdk.model.user import User
from kolibri_sdk.store import Store, users

ANNA = User("anna", "Anna.Kuehn@example.org", "Anna Kühn", "de", ("network", "duty"))
BOB = User("Bob", "bob@example.org", language="en", groups=("network",))


@pytest.fixture
def known(store: Store) -> Store:
    with store.write() as tx:
        users.put(tx, ANNA)
        users.put(tx, BOB)
    return store


@pytest.mark.parametrize("name", ["anna", "ANNA", "anna.kuehn@example.org", ANNA.address])
def test_a_user_is_found_by_id_and_address_in_any_case(known: Store, name: str) -> None:
    with known.read() as tx:
        assert users.find(tx, [name]) == {name: ANNA}


def test_every_spelling_that_was_asked_for_is_answered(known: Store) -> None:
    with known.read() as tx:
        assert users.find(tx, ["anna", "Anna", "nobody", "bob@EXAMPLE.org"]) == {
            "anna": ANNA,
            "Anna": ANNA,
            "bob@EXAMPLE.org": BOB,
        }


def test_letters_beyond_ascii_have_cases_too(store: Store) -> None:
    with store.write() as tx:
        users.put(tx, User("Änne", "aenne@example.org"))
        assert users.find(tx, ["änne"])["änne"].id == "Änne"


def test_a_user_is_replaced(known: Store) -> None:
    moved = User("anna", "anna@example.net", "Anna", None, ())
    with known.write() as tx:
        users.put(tx, moved)
        assert users.find(tx, ["anna"]) == {"anna": moved}
        assert users.find(tx, [ANNA.address]) == {}
        assert [row["id"] for row in users.select(tx)] == ["Bob", "anna"]


@pytest.mark.parametrize("address", [BOB.address, "BOB@example.org"])
def test_two_users_cannot_share_an_address(known: Store, address: str) -> None:
    with pytest.raises(KolibriError, match=r"(?i)bob@example.org.*Bob"), known.write() as tx:
        users.put(tx, User("bert", address))


def test_a_group(known: Store) -> None:
    with known.read() as tx:
        assert users.group(tx, "network") == [BOB, ANNA]
        assert users.group(tx, "duty") == [ANNA]
        assert users.group(tx, "net") == []


def test_more_names_than_fit_into_one_question(known: Store) -> None:
    names = [f"user{n}" for n in range(1_200)] + ["anna"]
    with known.read() as tx:
        assert set(users.find(tx, names)) == {"anna"}
