"""The runner of passes that are killed, for all tests of faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run_pass() -> Iterator[Run]:
    """A function: run one pass of this project, killed as ``nth``, ``at`` and ``delay`` say."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.runner"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(root: Path, **when: Any) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({"root": str(root), **when}) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield run
        assert process.stdin is not None
        process.stdin.close()
