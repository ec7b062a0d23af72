"""A project as ``kolibri init`` makes it, for the notebooks to work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from kolibri_sdk.shipped import start_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    start_project(folder)
    return folder
