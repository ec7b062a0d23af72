"""``rules/`` as git has it at a revision."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from kolibri_sdk.errors import ConfigurationError
from kolibri_sdk.rulebook.book import Rulebook
from kolibri_sdk.rulebook.load import load_rulebook

__all__ = ["rulebook_at"]

_PATIENCE = 60.0


def rulebook_at(rules: Path, revision: str) -> Rulebook:
    """Read the rules of a git revision; the working tree stays as it is.

    Parameters
    ----------
    rules : Path
        The folder of the rules, inside of a git repository.
    revision : str
        A branch, a tag, a commit, ``HEAD~3``.

    Raises
    ------
    ConfigurationError
        When there is no git, no repository, no such revision, or it has no such folder.
    """
    folder = rules.resolve()
    commit = _git(
        folder,
        *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"),
        what=f"There is no git revision {revision!r} of {folder}",
        mend="`git log --oneline` lists the commits; the rules must lie in a git repository",
    )
    packed = _git(
        folder,
        *("archive", "--format=tar", commit.decode().strip(), "."),
        what=f"The git revision {revision!r} has no folder {folder.name}",
        mend="Name a revision that has it",
    )
    with TemporaryDirectory() as name:
        there = Path(name) / folder.name
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(there, filter="data")
        return load_rulebook(there)


def _git(folder: Path, *arguments: str, what: str, mend: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise ConfigurationError("There is no git on this machine", "Install git")
    try:
        done = subprocess.run(  # noqa: S603 (git itself; the revision cannot be an option)
            [program, "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{what} ({error})", mend) from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ConfigurationError(f"{what}{f' ({words})' if words else ''}", mend)
    return done.stdout
