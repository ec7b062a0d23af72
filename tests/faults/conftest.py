"""Desks on Maildirs, and the runner of passes that are killed, for all tests of faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kolibri_sdk import checkpoint
from kolibri_sdk.sandbox import Sandbox
from tests.faults.desk import Desk
from tests.project import ProjectFolder
from tests.servers.dovecot import PASSWORD_VARIABLE

Run = Callable[..., dict[str, Any]]
NewDesk = Callable[..., Desk]


@contextmanager
def runner() -> Iterator[Run]:
    """A function: run one pass of this project, killed as ``nth``, ``at`` and ``delay`` say."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.runner"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def run(root: Path, **when: Any) -> dict[str, Any]:
            environ = {name: os.environ[name] for name in [PASSWORD_VARIABLE] if name in os.environ}
            asked.write(json.dumps({"root": str(root), "environ": environ, **when}) + "\n")
            asked.flush()
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer

        try:
            yield run
        finally:
            asked.close()


@pytest.fixture(scope="module")
def run_pass() -> Iterator[Run]:
    """A runner."""
    with runner() as run:
        yield run


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    """One for all passes that are not killed: warming it up takes longer than most tests."""
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def new_desk(tmp_path: Path, sandbox: Sandbox) -> Iterator[NewDesk]:
    """A function that makes a desk; ``kolibri.toml`` gets its arguments."""
    desks: list[Desk] = []

    def make(**settings: Any) -> Desk:
        root = tmp_path / f"desk{len(desks)}"
        root.mkdir()
        desks.append(Desk(ProjectFolder(root, **settings), sandbox))
        return desks[-1]

    yield make
    checkpoint.observe(None)
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(new_desk: NewDesk) -> Desk:
    """A desk whose mailbox ``support`` is a Maildir, and whose one rule makes incidents."""
    return new_desk()
