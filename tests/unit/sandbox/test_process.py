"""The child process: what it may, when it ends, and from where it can be used (fault 43)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kolibri_sdk.errors import SandboxError
from kolibri_sdk.sandbox import RenderJob, Sandbox, Script
from kolibri_sdk.sandbox import child as child_module

TRUE = [Script("a", "message.n === 1")]
INPUT = [{"message": {"n": 1}}]
HELLO = RenderJob({"a": "Hello {{ name }}"}, "a", {"name": "you"})


def _children() -> list[psutil.Process]:
    """The sandbox's processes; a session's database server has children of its own."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "kolibri_sdk.sandbox.worker" in process.cmdline():
                found.append(process)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_doors_are_closed() -> None:
    before = {process.pid for process in _children()}
    with Sandbox() as sandbox:
        sandbox.evaluate(TRUE, INPUT)
        sandbox.render([HELLO])
        started = [process for process in _children() if process.pid not in before]
        assert len(started) == 2
        for process in started:
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            hard = {line[:26].strip(): line[26:].split()[1] for line in limits.splitlines()}
            for closed in ("open files", "file size", "processes", "core file size"):
                assert hard[f"Max {closed}"] == "0"
            assert int(hard["Max data size"]) < 4 * 2**30
            assert "PATH" not in process.environ()


ATTEMPTS = {
    "file": "open('/etc/hostname')",
    "new file": "open('new', 'w')",
    "socket": "import socket; socket.socket()",
    "pipe": "os.pipe()",
    "program": "import _posixsubprocess, subprocess; subprocess.run(['/bin/true'])",
    "memory": "bytearray(200 * 2**20)",
    "reopened": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_closed_door_stays_closed(tmp_path: Path, attempt: str) -> None:
    code = f"""
import os, resource, socket, subprocess, sys
from kolibri_sdk.sandbox.limits import close_the_doors
if os.getuid() == 0:
    os.setuid(65534)  # root may do anything
close_the_doors(100)
try:
    {ATTEMPTS[attempt]}
except (OSError, ValueError, MemoryError) as error:
    os._exit(42)
os._exit(0)
"""
    folder = str(Path(child_module.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": folder},
        timeout=30,
        check=False,
    )
    assert done.returncode == 42


def test_resident_memory_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's limit does not work, the parent's watch does."""
    with Sandbox(memory_mb=2000, deadline=5) as sandbox:
        sandbox.evaluate(TRUE, INPUT)
        monkeypatch.setattr(sandbox._javascript._watch, "_memory_mb", 100)
        source = "(a => { for (let i = 0; ; i += 1) a.push(new Uint8Array(1e7).fill(1)) })([])"
        failing = pytest.raises(child_module.Failure, match="needed more than 100 MB")
        prepare = f'[{{"id": "a", "source": "{source}", "expects": "boolean"}}]'
        sandbox._javascript.ask("prepare", prepare)
        with failing:
            sandbox._javascript.ask("decide", '{"inputs": [{}], "wanted": null}')


def test_close_ends_the_children_and_a_later_call_starts_new_ones() -> None:
    before = _children()
    sandbox = Sandbox()
    for _ in range(2):
        assert sandbox.evaluate(TRUE, INPUT)[0]["a"].value is True
        assert len(_children()) == len(before) + 1
        sandbox.close()
        assert len(_children()) == len(before)


def test_a_forgotten_sandbox_leaves_no_child() -> None:
    before = _children()
    sandbox = Sandbox()
    sandbox.evaluate(TRUE, INPUT)
    del sandbox
    assert len(_children()) == len(before)


PARENT = """
import os, sys
from kolibri_sdk.sandbox import RenderJob, Sandbox, Script
sandbox = Sandbox(deadline=60)
sandbox.evaluate([Script("a", "true")], [{"x": 1}])
print(sandbox._javascript._process.pid, flush=True)
if sys.argv[1] == "hanging":
    sandbox.evaluate([Script("a", "(() => { for (;;) {} })()")], [{"x": 1}])
elif sys.argv[1] == "rendering":
    sandbox.render([RenderJob({"a": "{% for i in range(99999) %}{% for j in range(99999) %}"
        "{% endfor %}{% endfor %}"}, "a", {})])
elif sys.argv[1] == "inherited":
    os.set_inheritable(sandbox._javascript._process.stdin.fileno(), True)
    os.spawnvp(os.P_NOWAIT, "sleep", ["sleep", "20"])
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "hanging", "rendering", "inherited"])
def test_a_killed_parent_leaves_no_child(state: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    int(parent.stdout.readline())
    time.sleep(0.3)
    family = psutil.Process(parent.pid).children(recursive=True)
    workers = [process for process in family if process.name() != "sleep"]
    sleepers = [process for process in family if process.name() == "sleep"]
    assert workers
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=5)
    for process in (*sleepers, *alive):
        process.kill()
    assert not alive


def test_inside_a_running_event_loop(sandbox: Sandbox) -> None:
    async def cell() -> tuple[object, object]:
        here = sandbox.evaluate(TRUE, INPUT)[0]["a"].value
        there = await asyncio.to_thread(sandbox.evaluate, TRUE, INPUT)
        return here, there[0]["a"].value

    assert asyncio.run(cell()) == (True, True)


def test_threads_take_turns(sandbox: Sandbox) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        script = Script("same id", f"message.n === {number}")
        for _ in range(10):
            [row] = sandbox.evaluate([script], [{"message": {"n": number}}])
            if row["same id"].value is not True:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_child_started_by_a_thread_outlives_it() -> None:
    with Sandbox() as sandbox:
        starter = threading.Thread(target=sandbox.evaluate, args=(TRUE, INPUT))
        starter.start()
        starter.join()
        time.sleep(0.1)
        assert sandbox.evaluate(TRUE, INPUT)[0]["a"].value is True
        assert sandbox._javascript.starts == 1


def test_a_child_killed_from_outside_is_replaced() -> None:
    with Sandbox() as sandbox:
        sandbox.evaluate(TRUE, INPUT)
        process = sandbox._javascript._process
        assert process is not None
        process.kill()
        process.wait()
        assert sandbox.evaluate(TRUE, INPUT)[0]["a"].value is True


def test_a_fork_gets_a_child_of_its_own() -> None:
    code = """
import os
from kolibri_sdk.sandbox import Sandbox, Script
def ask():
    [row] = sandbox.evaluate([Script("a", "message.n === 1")], [{"message": {"n": 1}}])
    return row["a"].value
sandbox = Sandbox()
assert ask() is True
if os.fork() == 0:
    os._exit(0 if ask() is True and sandbox._javascript.starts == 2 else 1)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert ask() is True and sandbox._javascript.starts == 1
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in its background has them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_does_not_mix_up_answers() -> None:
    with Sandbox(deadline=30) as sandbox:
        sandbox.evaluate(TRUE, INPUT)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            sandbox.evaluate([Script("a", "(() => { for (;;) {} })()")], INPUT)
        timer.join()
        assert sandbox.evaluate(TRUE, INPUT)[0]["a"].value is True


def test_a_missing_bundle_is_told_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(child_module, "PRELUDE", tmp_path / "prelude.js")
    with Sandbox() as sandbox, pytest.raises(SandboxError, match=r"build_bundles\.py"):
        sandbox.evaluate(TRUE, INPUT)


def test_a_child_that_cannot_start_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "_environment", lambda: {"PYTHONPATH": "/nowhere"})
    with Sandbox() as sandbox, pytest.raises(SandboxError, match="No module named 'kolibri_sdk'"):
        sandbox.evaluate(TRUE, INPUT)


def test_the_worker_imports_nothing_heavy() -> None:
    code = "import sys, kolibri_sdk.sandbox.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pandas", "numpy", "sqlalchemy", "IPython", "pydantic", "jinja2"}
