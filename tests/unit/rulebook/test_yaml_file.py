"""YAML files: places, and whatever is no YAML as one problem with file, line and mend."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.rulebook.yaml_file import MAX_BYTES, parse_yaml, read_yaml


def problem_in(text: str) -> Problem:
    with pytest.raises(ConfigurationError) as refused:
        parse_yaml(text, "rules/a.yaml")
    (problem,) = refused.value.problems
    assert problem.file == "rules/a.yaml"
    assert problem.mend
    return problem


def test_values_are_yaml_1_2() -> None:
    text = "a: [1, 0x1f, 1.5, true, yes, on, ~, 2026-05-01, '3']"
    values = parse_yaml(text, "a.yaml").data["a"]
    assert [str(each) for each in values] == [
        *("1", "31", "1.5", "True", "yes", "on", "None", "2026-05-01", "3"),
    ]


def test_every_value_has_its_place() -> None:
    source = parse_yaml("a: 1\nthen:\n  - b: {c: x}\n    d:\n      y\n", "a.yaml")
    assert source.place(["a"]) == (1, 1)
    assert source.place(["then", 0]) == (3, 5)
    assert source.place(["then", 0, "b", "c"]) == (3, 9)
    assert source.place(["then", 0, "d"]) == (4, 5)


def test_a_path_that_is_not_there_has_the_place_of_what_is_nearest() -> None:
    source = parse_yaml("a: 1\nto: {field: caller}\n", "a.yaml")
    assert source.place(["to", 0, "field"]) == (2, 6)
    assert source.place(["to", "lost"]) == (2, 1)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("a: 1\nb: [1,\n", 3, "not YAML"),
        ("a: 1\nb: c: d\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\nb: 'never closed\n", 3, "not YAML"),
        ('a: 1\nb: "\\q"\n', 2, "not YAML"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\nb: *nobody\n", 2, "not YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' twice, first in line 1"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "the key 'c' twice, first in line 3"),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", 2, "the tag !!python"),
        ("a: 1\nb: !secret x\n", 2, "the tag !secret"),
        ("a: 1\nb: !!binary aGk=\n", 2, "the tag !!binary"),
        ("a: 1\n1: b\n", 2, "a key that is not plain text"),
        ("a: &x {b: 1}\n<<: *x\n", 2, "a key that is not plain text"),
        ("a: 1\n? [b]\n: c\n", 2, "a key that is not plain text"),
        ("%YAML 1.1\n---\non: insert\n", 3, "a key that is not plain text"),
        ("a: 1\nb: !!int x\n", 2, "a value that cannot be read"),
        ("a: 1\nb: 1" + "0" * 5000 + "\n", 2, "a value that cannot be read"),
        ('a: 1\nb: "\\ud83d"\n', 2, "half a character"),
        ("a: 1\nb: \x00\n", 2, "a control character"),
    ],
)
def test_what_is_no_good_is_told_with_its_line(text: str, line: int, words: str) -> None:
    problem = problem_in(text)
    assert words in problem.message
    assert problem.line == line


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "repeated too much" in problem_in("\n".join(lines)).message


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "&a {b: *a}\n", "[" * 40 + "]" * 40, "[" * 600])
def test_endless_nesting_is_refused(text: str) -> None:
    assert "nested" in problem_in(text).message


def problem_of(path: Path) -> Problem:
    with pytest.raises(ConfigurationError) as refused:
        read_yaml(path, "rules/a.yaml")
    return refused.value.problems[0]


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("a: 1\nb: grün\n".encode("latin-1"))
    assert problem_of(path).line == 2
    assert "not UTF-8" in problem_of(path).message


def test_a_byte_order_mark_and_dos_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nwhen: |\r\n  x &&\r\n  y\r\n")
    source = read_yaml(path, "a.yaml")
    assert source.data == {"a": 1, "when": "x &&\ny\n"}
    assert source.inside(["when"], 2, 1) == (4, 3)


def test_a_folder_a_pipe_and_a_giant_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert "is a folder" in problem_of(tmp_path / "folder.yaml").message
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in problem_of(tmp_path / "pipe.yaml").message
    (tmp_path / "giant.yaml").write_text("a: " + "x" * MAX_BYTES)
    assert "larger than" in problem_of(tmp_path / "giant.yaml").message


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "Permission denied" in problem_of(tmp_path / "a.yaml").message


RULE = """\
description: a rule
order: 100
when: |
  !message.reference &&
    "ä".test(message.subject)
then:
  - create_record: {entity: incident, set: {title: "message.subject", n: '"it''s"'}}
  - send_mail: {template: hello, to: [{field: caller}, {js: >-
      [record.a]}]}
"""


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_problem_at_worst(
    tmp_path_factory: object, data: st.DataObject
) -> None:
    text = data.draw(st.one_of(st.text(max_size=60), damaged(RULE)))
    try:
        source = parse_yaml(text, "a.yaml")
    except ConfigurationError as error:
        (problem,) = error.problems
        assert problem.line is None or 1 <= problem.line <= text.count("\n") + 2
    else:
        for path in source.values:
            line, column = source.inside(path, 3, 2)
            assert line
            assert column


@st.composite
def damaged(draw: st.DrawFn, whole: str) -> str:
    """A rule that somebody saved half-way, or with a slip of the hand."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(start + 20, len(whole))))
    piece = draw(st.text(alphabet="{}[]:,&*!|>'\"%@`- \n\t#\\xu0a\x85\u2028", max_size=6))
    cut = draw(st.sampled_from([len(whole), end]))
    return whole[:start] + piece + whole[end:cut]
