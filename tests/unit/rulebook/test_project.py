"""``kolibri.toml``, arguments and environment: who wins, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kolibri_sdk.errors import ConfigurationError, Problem
from kolibri_sdk.rulebook import find_project


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOLIBRI_DATABASE", raising=False)
    monkeypatch.delenv("KOLIBRI_RULES", raising=False)


def write(folder: Path, text: str) -> None:
    (folder / "kolibri.toml").write_text(text)


def problems(folder: Path, text: str | bytes) -> tuple[Problem, ...]:
    (folder / "kolibri.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as refused:
        find_project(folder)
    assert all(problem.file == "kolibri.toml" for problem in refused.value.problems)
    return refused.value.problems


def test_the_file_says_all(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[kolibri]\ndatabase = "postgresql+psycopg://db/desk"\nrules = "desk/rules"\n'
        'every = 5\nrecord_link = "https://desk.example/{entity}/{number}"\n',
    )
    project = find_project(tmp_path)
    assert project.root == tmp_path
    assert project.database == "postgresql+psycopg://db/desk"
    assert project.rules == tmp_path / "desk/rules"
    assert (project.every, project.record_link) == (5, "https://desk.example/{entity}/{number}")


@pytest.mark.parametrize("text", ["", "[kolibri]\n"])
def test_an_empty_file_means_the_defaults(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    project = find_project(tmp_path)
    assert project.database == f"sqlite:///{tmp_path}/kolibri.db"
    assert project.rules == tmp_path / "rules"
    assert (project.every, project.record_link) == (30, "")


def test_the_nearest_file_above_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "[kolibri]\nevery = 1\n")
    (tmp_path / "a/b").mkdir(parents=True)
    write(tmp_path / "a", "[kolibri]\nevery = 2\n")
    assert find_project(tmp_path / "a/b").every == 2
    monkeypatch.chdir(tmp_path / "a/b")
    assert find_project().root == tmp_path / "a"


def test_arguments_then_file_then_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOLIBRI_DATABASE", "sqlite:///environment.db")
    monkeypatch.setenv("KOLIBRI_RULES", "environment")
    project = find_project(tmp_path)
    assert project.database == f"sqlite:///{tmp_path}/environment.db"
    assert project.rules == tmp_path / "environment"
    write(tmp_path, '[kolibri]\ndatabase = "sqlite:///file.db"\nrules = "file"\n')
    project = find_project(tmp_path)
    assert project.database == f"sqlite:///{tmp_path}/file.db"
    assert project.rules == tmp_path / "file"
    project = find_project(tmp_path, database="sqlite:///argument.db", rules=Path("argument"))
    assert project.database == f"sqlite:///{tmp_path}/argument.db"
    assert project.rules == tmp_path / "argument"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////var/lib/desk.db",
        "sqlite:///file:desk?mode=ro&uri=true",
        "postgresql+psycopg://u@db/desk",
    ],
)
def test_other_urls_stay_as_they_are(tmp_path: Path, url: str) -> None:
    assert find_project(tmp_path, database=url).database == url


def test_a_relative_sqlite_path_keeps_driver_and_query(tmp_path: Path) -> None:
    project = find_project(tmp_path, database="sqlite+pysqlite:///a/b.db?timeout=5")
    assert project.database == f"sqlite+pysqlite:///{tmp_path}/a/b.db?timeout=5"


def test_nothing_at_all_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="kolibri init"):
        find_project(tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "message", "mend"),
    [
        ("[kolibri]\nevery = \n", 2, "not TOML", "database ="),
        ("[kolibri]\nevery = 1\nevery = 2\n", 3, "not TOML", ""),
        ("[kolibri]\nevry = 30\n", 2, "there is no setting 'evry'", "did you mean 'every'?"),
        ('[kolibri]\nrules = "r"\nevery = "30"\n', 3, "'every' must be a whole", "every = 30"),
        ("[kolibri]\nevery = true\n", 2, "'every' must be a whole number", ""),
        ("[kolibri]\nevery = 0\n", 2, "'every' is less than a second", "every = 30"),
        ("[kolibri]\ndatabase = 3\n", 2, "'database' must be text in quotes", "sqlite:///"),
        ('[kolibri]\nrules = ""\n', 2, "'rules' is empty", 'rules = "rules"'),
        ("every = 30\n", 1, "there is no section 'every'", "write [kolibri] above"),
        ("[kolibri]\n[colibri]\n", 2, "there is no section 'colibri'", "did you mean 'kolibri'?"),
        ("kolibri = 3\n", 1, "'kolibri' is not a section", "write [kolibri]"),
        ('[kolibri]\nrecord_link = "desk/{id}"\n', 2, "no pattern of a web", "{number}"),
        ('[kolibri]\nrecord_link = "https://x/{id}"\n', 2, "no pattern of a web", "{number}"),
        ('[kolibri]\nrecord_link = "https://x/{"\n', 2, "no pattern of a web", "{number}"),
        (b'[kolibri]\nrules = "\xfc"\n', 2, "not UTF-8", "UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, message: str, mend: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.line == line, str(problem)
    assert message in problem.message
    assert mend in problem.mend


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "kolibri.toml").write_bytes(b"\xef\xbb\xbf[kolibri]\r\nevery = 5\r\n")
    assert find_project(tmp_path).every == 5


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "kolibri.toml").mkdir()
    with pytest.raises(ConfigurationError, match="is a folder"):
        find_project(tmp_path)
