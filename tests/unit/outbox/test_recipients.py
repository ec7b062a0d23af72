"""Recipients: a list, a field of the record, JavaScript; who gets it, and who does not (S6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk.errors import ActionError
from kolibri_sdk.model.rule import Recipient
from kolibri_sdk.model.user import User
from kolibri_sdk.outbox import Resolved, resolve
from kolibri_sdk.store import Store, upgrade, users

ANNA = User("anna", "anna@example.org", "Anna Kühn", "de", ("network",))
BOB = User("bob", "bob@example.org", "Bob", "en", ("network", "duty"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    path: Path = tmp_path_factory.mktemp("recipients")
    opened = Store(f"sqlite:///{path / 'kolibri.db'}")
    upgrade(opened)
    with opened.write() as tx:
        users.put(tx, ANNA)
        users.put(tx, BOB)
    yield opened
    opened.close()


def find(store: Store, *to: dict[str, str], excluded: Any = None, **given: Any) -> Resolved:
    recipients = [Recipient.model_validate(one) for one in to]
    with store.read() as tx:
        return resolve(tx, recipients, given.get("record"), given.get("values", {}), excluded or {})


def addresses(found: Resolved) -> list[str]:
    return [person.address.address for person in found.people]


LISTS = {
    "a@b.org": ["a@b.org"],
    "a@b.org, c@d.org": ["a@b.org", "c@d.org"],
    "a@b.org; c@d.org ,": ["a@b.org", "c@d.org"],
    " , ; ": [],
    "Anna <a@b.org>": ["a@b.org"],
    '"Kühn, Anna" <a@b.org>, c@d.org': ["a@b.org", "c@d.org"],
    "'Anna' <a@b.org>": ["a@b.org"],
    '"Anna; the first" <a@b.org>; <c@d.org>': ["a@b.org", "c@d.org"],
    "anna, c@d.org": ["anna@example.org", "c@d.org"],
    "ANNA": ["anna@example.org"],
    "network": ["anna@example.org", "bob@example.org"],
    "duty, anna, network": ["bob@example.org", "anna@example.org"],
    "müller@bücher.example": ["müller@bücher.example"],
    "o'neil+vpn@example.org": ["o'neil+vpn@example.org"],
}


@pytest.mark.parametrize("text", LISTS)
def test_a_list(store: Store, text: str) -> None:
    found = find(store, {"list": text})
    assert addresses(found) == LISTS[text]
    assert [d.reason for d in found.dropped] == (
        [] if LISTS[text] else ["all recipients are empty"]
    )


def test_names_come_with_their_addresses(store: Store) -> None:
    found = find(store, {"list": '"Kühn, A." <anna@example.org>, bob@example.org, x@y.z'})
    assert [(p.address.name, p.user) for p in found.people] == [
        ("Kühn, A.", ANNA),
        ("Bob", BOB),
        ("", None),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("anna", ["anna@example.org"]),
        ("a@b.org", ["a@b.org"]),
        (["anna", "a@b.org"], ["anna@example.org", "a@b.org"]),
        ({"address": "a@b.org", "name": "A, B"}, ["a@b.org"]),
        ([{"email": "a@b.org"}, "bob", None, ""], ["a@b.org", "bob@example.org"]),
        (None, []),
        ("", []),
        ([], []),
    ],
)
def test_a_field_of_the_record(store: Store, value: Any, expected: list[str]) -> None:
    found = find(store, {"field": "caller"}, record={"caller": value})
    assert addresses(found) == expected


def test_a_field_that_the_record_lacks(store: Store) -> None:
    assert find(store, {"field": "caller"}, record={}).people == ()
    assert find(store, {"field": "caller"}).dropped[0].reason == "all recipients are empty"


def test_the_three_kinds_together_each_person_once(store: Store) -> None:
    found = find(
        store,
        {"list": "BOB@example.org, a@b.org"},
        {"field": "caller"},
        {"js": "…"},
        record={"caller": "bob"},
        values={"to.2": ["A@B.org", {"address": "c@d.org", "name": 'C "the" D'}, "network"]},
    )
    assert addresses(found) == ["BOB@example.org", "a@b.org", "c@d.org", "anna@example.org"]
    assert found.people[2].address.name == "C the D"
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (7, "7"),
        (True, "true"),
        ({"id": "anna"}, '{"id": "anna"}'),
        (["a@b.org", {"address": 7}], '{"address": 7} in its list'),
        ([["a@b.org"]], '["a@b.org"] in its list'),
        ({"address": ["a@b.org"]}, '{"address": ["a@b.org"]}'),
        ({"address": None, "email": []}, '{"address": null, "email": []}'),
        (1.5, "1.5"),
    ],
)
def test_rubbish_from_javascript_is_named(store: Store, value: Any, told: str) -> None:
    with pytest.raises(ActionError) as error:
        find(store, {"list": "a@b.org"}, {"js": "…"}, values={"to.1": value})
    assert error.value.what == f"to[1].js gave {told}, which is no recipient"
    assert "Give an address" in error.value.next_step


@pytest.mark.parametrize("value", [["a@b.org"] * 10_000, "a@b.org," * 10_000])
def test_ten_thousand_recipients_are_a_mistake(store: Store, value: Any) -> None:
    with pytest.raises(ActionError, match=r"to\[0\]\.js gave .*,000 recipients, of which 1,000"):
        find(store, {"js": "…"}, values={"to.0": value})


def test_who_is_named_twice_and_by_which_entry_is_known(store: Store) -> None:
    found = find(
        store,
        {"list": "anna@example.org"},
        {"field": "caller"},
        {"js": "…"},
        record={"caller": "anna"},
        values={"to.2": "network"},
    )
    assert [(p.address.address, p.via) for p in found.people] == [
        ("anna@example.org", "to[0].list"),
        ("bob@example.org", "to[2].js, group network"),
    ]
    assert [(d.reason, d.via) for d in found.doubles] == [
        ("gets it already, by to[0].list", "field caller"),
        ("gets it already, by to[0].list", "to[2].js, group network"),
    ]


@pytest.mark.parametrize(
    "text",
    ["nobody", "a@b@c", "a b@c.org", "@b.org", "a@", "a@b.org>", "x\r\nBcc: c@d.org"],
)
def test_who_is_nobody_is_told(store: Store, text: str) -> None:
    found = find(store, {"list": "a@b.org"}, {"js": "…"}, values={"to.1": [text]})
    assert addresses(found) == ["a@b.org"]
    assert [d.reason for d in found.dropped] == ["is no address, user or group"]


@pytest.mark.parametrize("name", ["a\r\nBcc: eve@example.net", 'a" <eve@example.net>, "b'])
def test_a_name_adds_no_recipient_and_no_header(store: Store, name: str) -> None:
    value = {"address": "a@b.org", "name": name}
    found = find(store, {"js": "…"}, values={"to.0": value})
    assert set(addresses(found)) <= {"a@b.org"}


def test_nobody_writes_to_our_own_mailboxes(store: Store) -> None:
    own = {"support@example.org": "is our own mailbox support", "anna@example.org": "wrote it"}
    found = find(store, {"list": "Support@Example.org, anna, c@d.org, network"}, excluded=own)
    assert addresses(found) == ["c@d.org", "bob@example.org"]
    assert ("Support@Example.org", "is our own mailbox support") in [
        (d.value, d.reason) for d in found.dropped
    ]


def test_everybody_spelt_differently_is_the_same_user(store: Store) -> None:
    found = find(store, {"list": "ANNA@example.org, anna@EXAMPLE.org"})
    assert [p.user for p in found.people] == [ANNA]
