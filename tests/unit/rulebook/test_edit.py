"""A rule's file keeps comments, order and the author's hand when a program changes a value."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.rulebook import edited, new_document, parse_yaml, read_yaml, save_file

RULE = dedent(
    """\
    # yaml-language-server: $schema=../../schema.json
    # What the network group gets
    description:   "VPN"      # two words would do
    order: 100  # after the guards

    when: |
      /vpn/i.test(message.subject)
        && !message.automatic

    # and then
    then:
        - create_record: {entity: incident, set: {title: message.subject}}
    examples:   # from last winter
        # the first one
        - {mail: examples/a.eml, match: true}
        -   mail: examples/b.eml
            match: false   # a newsletter
    # the end
    """
)


def change(text: str, **changes: Any) -> str:
    return edited(parse_yaml(text, "vpn.yaml"), changes)


def test_only_the_lines_of_what_changes_are_others() -> None:
    text = change(RULE, state="shadow", order=200)
    was, now = RULE.splitlines(), text.splitlines()
    assert [line for line in now if line not in was] == [
        "order: 200  # after the guards",
        "state: shadow",
    ]
    assert [line for line in was if line not in now] == ["order: 100  # after the guards"]
    assert now.index("state: shadow") == now.index("when: |") - 1
    assert change(text, state="active").splitlines()[5] == "state: active"


def test_a_condition_is_written_as_a_block_and_what_stood_below_stays() -> None:
    text = change(RULE, when="message.size > 10 &&\n  !message.automatic\n")
    assert "when: |\n  message.size > 10 &&\n    !message.automatic\n\n# and then\nthen:" in text


def test_examples_are_added_below_the_others_as_these_are_written() -> None:
    more = [{"mail": "examples/c.eml", "match": False}]
    before = parse_yaml(RULE, "x").data["examples"]
    text = change(RULE, examples=[*before, *more])
    assert text == RULE.replace(
        "# a newsletter\n",
        "# a newsletter\n    - {mail: examples/c.eml, match: false}\n",
    )


def test_a_key_is_added_in_its_place_or_taken_out() -> None:
    assert change(RULE, stop=True).index("stop: true") > RULE.index("set: {title")
    without = change(RULE, description=None)
    assert "description" not in without
    assert "# What the network group gets" in without


@pytest.mark.parametrize(
    "text",
    [
        '{"order": 1, "when": "true"}\n',
        "{order: 1, when: 'true'} # short\n",
        "order: 1\nwhen: 'true'",
    ],
)
def test_a_file_in_flow_style_is_changed_too(text: str) -> None:
    assert parse_yaml(change(text, state="shadow"), "x").data == {
        "order": 1, "when": "true", "state": "shadow",
    }  # fmt: skip


def test_whatever_is_changed_the_rest_is_what_it_was() -> None:
    aliased = "order: 1\nwhen: &w |+\n  true\n\n\ndescription: *w\n"
    assert parse_yaml(change(aliased, order=3), "x").data["when"] == "true\n\n\n"
    with_end = change(aliased, description="new")
    assert parse_yaml(with_end, "x").data == {
        "order": 1,
        "when": "true\n\n\n",
        "description": "new",
    }


def test_a_new_file_reads_like_the_shipped_ones() -> None:
    text = new_document(
        {
            "order": 100,
            "state": "draft",
            "when": "a &&\nb",
            "then": [
                {"create_record": {"entity": "incident", "set": {"title": "message.subject"}}}
            ],
            "examples": [{"mail": "examples/a.eml", "match": True}],
        }
    )
    assert text == dedent(
        """\
        # yaml-language-server: $schema=../../schema.json
        order: 100
        state: draft
        when: |-
          a &&
          b
        then:
          - create_record:
              entity: incident
              set:
                title: message.subject
        examples:
          - {mail: examples/a.eml, match: true}
        """
    )


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "vpn.yaml"
    path.write_text("order: 1\nwhen: 'true'\n")
    path.chmod(0o640)
    read = read_yaml(path, "vpn.yaml")
    path.write_text("order: 1\nwhen: 'false'\n")
    with pytest.raises(
        ConfigurationError, match=r"changed since(.|\n)*-when: 'true'\n\+when: 'fal"
    ):
        save_file(path, edited(read, {"order": 2}), read.text, "vpn.yaml")
    assert path.read_text() == "order: 1\nwhen: 'false'\n"
    save_file(path, "order: 2\nwhen: 'false'\n", "order: 1\nwhen: 'false'\n", "vpn.yaml")
    assert path.read_text() == "order: 2\nwhen: 'false'\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["vpn.yaml"], "nothing is left beside it"
    with pytest.raises(ConfigurationError, match="changed since"):
        save_file(tmp_path / "gone.yaml", "x: 1\n", "y: 1\n", "gone.yaml")
