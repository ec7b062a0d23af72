"""Loading ``rules/``: what is right loads, what is wrong becomes a problem, nothing raises."""

from __future__ import annotations

from pathlib import Path

import pytest

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.rulebook import load_rulebook
from tests.unit.rulebook.conftest import MAILBOX, Folder

RULE = "order: {}\nwhen: 'true'\n"


def told(folder: Folder) -> list[tuple[str, int | None, str]]:
    return [(p.file, p.line, p.message) for p in folder.load().problems]


def test_a_folder_in_order_loads_without_problems(folder: Folder) -> None:
    folder.write("rules/inbound/support/b.yaml", RULE.format(2))
    folder.write("rules/inbound/support/c.yaml", RULE.format(1))
    folder.write("rules/README.md", "notes")
    folder.write("rules/inbound/support/.b.yaml.swp", b"\xff")
    folder.write(
        "rules/outbound/incident/d.yaml",
        "on: insert\nto: {list: a@example.org}\ntemplate: hello\nmailbox: support\n",
    )
    book = folder.load()
    assert book.problems == ()
    assert list(book.mailboxes) == ["support"]
    assert book.entities["incident"].file == "rules/entities/incident.yaml"
    assert [rule.name for rule in book.inbound("support")] == ["c", "b"]
    assert book.inbound("sales") == ()
    assert [rule.mailbox for rule in book.outbound("incident")] == ["support"]
    assert book.templates["hello"].variants["en"].subject == "Hello {{ record.title }}"


def test_the_folder_itself_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="kolibri init"):
        load_rulebook(tmp_path / "rules")


def test_files_are_named_from_the_project_folder(folder: Folder) -> None:
    folder.write("rules/mailboxes/bad.yaml", "x: 1")
    (problem, *_) = load_rulebook(folder.root / "rules", root=folder.root.parent).problems
    assert problem.file == f"{folder.root.name}/rules/mailboxes/bad.yaml"
    (problem, *_) = load_rulebook(folder.root / "rules", root=folder.root / "else").problems
    assert problem.file == "rules/mailboxes/bad.yaml"


def test_a_faulty_file_is_left_out_and_the_others_load(folder: Folder) -> None:
    folder.write("rules/inbound/support/half.yaml", "order: 1\nwhen: |\n  true\nthen:\n  - create_")
    folder.write("rules/inbound/support/whole.yaml", RULE.format(2))
    folder.write("rules/mailboxes/empty.yaml", "")
    folder.write("rules/entities/latin.yaml", "table: grün\n".encode("latin-1"))
    (folder.root / "rules/inbound/support/folder.yaml").mkdir()
    book = folder.load()
    assert [rule.name for rule in book.inbound_rules] == ["whole"]
    assert [(p.file, p.line) for p in book.problems] == [
        ("rules/mailboxes/empty.yaml", 1),
        ("rules/entities/latin.yaml", 1),
        ("rules/inbound/support/folder.yaml", None),
        ("rules/inbound/support/half.yaml", 5),
    ]


def test_one_order_twice_is_told_in_both_files_and_the_later_name_is_left_out(
    folder: Folder,
) -> None:
    folder.write("rules/inbound/support/b.yaml", "when: 'true'\norder: 7\n")
    folder.write("rules/inbound/support/a.yaml", RULE.format(7))
    folder.write("rules/inbound/sales/c.yaml", RULE.format(7))
    book = folder.load()
    assert [rule.name for rule in book.inbound("support")] == ["a"]
    assert [rule.name for rule in book.inbound("sales")] == ["c"]
    assert [(p.file, p.line) for p in book.problems] == [
        ("rules/inbound/support/a.yaml", 1),
        ("rules/inbound/support/b.yaml", 2),
    ]
    assert "this rule is left out" in book.problems[1].message


@pytest.mark.parametrize(
    ("file", "words", "mend"),
    [
        ("rules/mailboxes/Support Box.yaml", "lower-case letters", "rename it to support-box.yaml"),
        ("rules/mailboxes/büro.yaml", "lower-case letters", "rename it to b-ro.yaml"),
        ("rules/mailboxes/support.yml", "ends in .yml", "rename it to support.yaml"),
        ("rules/inbound/Support/a.yaml", "lower-case letters", "rename it to support"),
        ("rules/inbound/a.yaml", "lies too high", "move it to rules/inbound/NAME/a.yaml"),
        ("rules/a.yaml", "lies too high", "move it into one of mailboxes"),
        ("rules/templates/en.html.j2", "lies too high", "rules/templates/NAME/en.html.j2"),
        ("rules/templates/x/english.html.j2", "says no language", "such as de.html.j2"),
        ("rules/inbounds/a.yaml", "the folder is not read", "did you mean 'inbound'?"),
    ],
)
def test_names_that_do_not_fit(empty: Folder, file: str, words: str, mend: str) -> None:
    empty.write(file, MAILBOX)
    (problem,) = empty.load().problems
    assert words in problem.message
    assert mend in problem.mend
    assert file.startswith(problem.file)


def test_a_file_in_place_of_a_folder(empty: Folder) -> None:
    empty.write("rules/mailboxes", "")
    ((file, _, message),) = told(empty)
    assert file == "rules/mailboxes"
    assert "cannot be read" in message


class TestTemplates:
    def test_languages_and_parts(self, empty: Folder) -> None:
        for part in ("subject", "html", "txt"):
            empty.write(f"rules/templates/hi/de-at.{part}.j2", f"the {part}\n")
        empty.write("rules/templates/hi/en.subject.j2", "s")
        empty.write("rules/templates/hi/en.html.j2", "h")
        empty.write("rules/templates/_shared/base.html.j2", "b")
        template = empty.load().templates["hi"]
        assert empty.load().problems == ()
        assert template.choose("de-AT", "en").sources() == {
            "subject": "the subject",
            "html": "the html\n",
            "text": "the txt\n",
        }
        assert template.variants["en"].text is None
        assert template.variants["en"].files["html"] == "rules/templates/hi/en.html.j2"
        assert template.includes == {"base.html.j2": "b"}

    def test_a_language_without_a_subject_is_left_out(self, empty: Folder) -> None:
        empty.write("rules/templates/hi/de.html.j2", "h")
        empty.write("rules/templates/hi/en.subject.j2", "s")
        empty.write("rules/templates/hi/en.txt.j2", "t")
        assert list(empty.load().templates["hi"].variants) == ["en"]
        assert told(empty) == [("rules/templates/hi/de.subject.j2", None, "the subject is missing")]

    def test_a_language_without_a_text_is_left_out(self, empty: Folder) -> None:
        empty.write("rules/templates/hi/de.subject.j2", "s")
        assert empty.load().templates == {}
        assert "no text for it" in told(empty)[0][2]

    def test_an_empty_folder(self, empty: Folder) -> None:
        (empty.root / "rules/templates/hi").mkdir(parents=True)
        assert told(empty) == [("rules/templates/hi", None, "the template has no files")]

    def test_a_source_that_is_not_utf_8(self, empty: Folder) -> None:
        empty.write("rules/templates/hi/en.subject.j2", "s")
        empty.write("rules/templates/hi/en.txt.j2", "a\ngrün".encode("latin-1"))
        assert told(empty)[0][:2] == ("rules/templates/hi/en.txt.j2", 2)
