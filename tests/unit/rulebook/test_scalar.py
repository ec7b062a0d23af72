"""The place of a fault inside an expression, whatever way the expression is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    FoldedScalarString,
    LiteralScalarString,
    SingleQuotedScalarString,
)

from kolibri_sdk.rulebook.yaml_file import YamlPath, parse_yaml


@pytest.mark.parametrize(
    ("text", "inside", "place"),
    [
        ("a: 1\nwhen: b.c()\n", (1, 3), (2, 9)),
        ("when:\n  b.c()\n", (1, 3), (2, 5)),
        ("when: b &&\n   c\n", (1, 6), (2, 4)),
        ("when: 'b || ''x'' + c'\n", (1, 12), (1, 21)),
        ('when: "b || \\"x\\" + c"\n', (1, 12), (1, 21)),
        ('when: "b\\tc"\n', (1, 3), (1, 11)),
        ("when: |\n  b &&\n    c\n", (2, 3), (3, 5)),
        ("when: |  # why\n\n  b\n", (2, 1), (3, 3)),
        ("when: |4\n      b\n", (1, 3), (2, 7)),
        ("when: >-\n  b &&\n  c\n", (1, 6), (3, 3)),
        ("then:\n  - note: {text: b + c}\n", (1, 5), (2, 22)),
    ],
)
def test_the_place_inside(text: str, inside: tuple[int, int], place: tuple[int, int]) -> None:
    path: YamlPath = ("then", 0, "note", "text") if text.startswith("then") else ("when",)
    assert parse_yaml(text, "a.yaml").inside(path, *inside) == place


def test_a_fault_at_the_end_is_behind_the_last_character() -> None:
    assert parse_yaml("when: |\n  b &&\n", "a.yaml").inside(["when"], 2, 1) == (2, 7)


def test_a_fault_without_a_place_is_at_its_key() -> None:
    assert parse_yaml("a: 1\nwhen: b\n", "a.yaml").inside(["when"], None, None) == (2, 1)
    assert parse_yaml("a: 1\nwhen: |\n  b\n", "a.yaml").inside(["when"], 1, None) == (3, None)


STYLES = [
    str,
    LiteralScalarString,
    FoldedScalarString,
    SingleQuotedScalarString,
    DoubleQuotedScalarString,
]


@given(
    lines=st.lists(
        st.text("ab'\"#:\\.(){}&|>- ä→", min_size=1, max_size=30), min_size=1, max_size=4
    ),
    style=st.sampled_from(STYLES),
    data=st.data(),
)
def test_the_character_found_is_the_character_meant(
    lines: list[str], style: type[str], data: st.DataObject
) -> None:
    value = "\n".join(f"x{line.strip()}" for line in lines) + "\n"
    stream = StringIO()
    YAML().dump({"first": 1, "when": style(value)}, stream)
    source = parse_yaml(stream.getvalue(), "a.yaml")
    assert source.data["when"] == value
    number = data.draw(st.integers(1, len(lines)))
    column = data.draw(st.integers(1, len(value.split("\n")[number - 1])))
    meant = value.split("\n")[number - 1][column - 1]
    line, place = source.inside(["when"], number, column)
    assert line
    assert place
    found = source.text.split("\n")[line - 1][place - 1 :]
    if not meant.isspace():
        assert found.startswith((meant, "\\", "''"))
