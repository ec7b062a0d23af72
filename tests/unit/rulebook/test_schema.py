"""The JSON schema that editors read: committed, true, and as strict as the product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from kolibri_sdk.rulebook import schema
from kolibri_sdk.rulebook.yaml_file import read_yaml

RULES = Path(__file__).parents[3] / "rules"
ANEW = "python -c 'import json, kolibri_sdk.rulebook as r; print(json.dumps(r.schema(), indent=2))'"
FILES = sorted(RULES.glob("**/*.yaml"))


def test_the_committed_copy_is_true() -> None:
    committed = json.loads((RULES / "schema.json").read_text())
    assert committed == schema(), f"write it anew: {ANEW} > rules/schema.json"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_files_meet_it(path: Path) -> None:
    assert FILES
    data = read_yaml(path, path.name).data
    assert list(Draft202012Validator(schema()).iter_errors(data)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_files_name_it(path: Path) -> None:
    (named,) = path.read_text().splitlines()[0].split("$schema=")[1:]
    assert (path.parent / named).resolve() == RULES / "schema.json"


@pytest.mark.parametrize(
    "data",
    [
        {"order": 1, "wen": "true"},
        {"order": 1, "when": "true", "then": [{}]},
        {"order": 1, "when": "true", "then": [{"add_note": {"text": "1"}, "call": {"name": "x"}}]},
        {"on": "inser", "to": {"field": "a"}, "template": "t", "mailbox": "m"},
        {"on": "insert", "to": {"field": "a", "js": "b"}, "template": "t", "mailbox": "m"},
        {
            "address": "a@b",
            "inbound": {"protocol": "imap", "host": "h", "user": "u", "password": "p"},
        },
    ],
)
def test_it_refuses_what_the_product_refuses(data: object) -> None:
    assert not Draft202012Validator(schema()).is_valid(data)


def test_it_allows_a_single_value_where_the_product_does() -> None:
    single = {"on": "insert", "to": {"field": "a"}, "template": "t", "mailbox": "m"}
    assert Draft202012Validator(schema()).is_valid(single)
