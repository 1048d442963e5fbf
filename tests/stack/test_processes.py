"""Only what we have started is ever signalled, and nothing that we have started stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.kernel import running
from stack.lock import only_one
from stack.processes import Processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
# Starts a child in a session of its own, tells its pid, and waits.
_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
PARENT = [sys.executable, "-c", _PARENT]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """A run folder in a path with a space."""
    folder = tmp_path / "a run"
    folder.mkdir()
    found = Processes(folder)
    yield found
    found.kill_everything()


@pytest.fixture
def start(processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, list[str]], int]:
    """Start a process, and take note of it so that it is collected when it has ended."""
    children: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*args, **kwargs) -> subprocess.Popen[bytes]:
        children.append(real(*args, **kwargs))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)

    def act(name: str, command: list[str]) -> int:
        return processes.start(name, command, environment=dict(os.environ), cwd=tmp_path)

    yield act
    processes.kill_everything()
    for child in children:
        child.wait(10)


def test_a_started_process_has_a_pid_file_and_a_group_of_its_own(processes: Processes, start) -> None:
    pid = start("one", SLEEP)
    assert (processes.folder / "pids" / "one.pid").read_text() == f"{pid}\n"
    assert os.getpgid(pid) == pid
    assert processes.pid("one") == pid


def test_stopping_ends_it_and_removes_its_pid_file(processes: Processes, start) -> None:
    pid = start("one", SLEEP)
    assert processes.stop(["one"], seconds=10) == []
    assert running(pid) is None
    assert processes.names() == []


def test_what_does_not_end_when_asked_is_killed_and_named(processes: Processes, start) -> None:
    pid = start("deaf", STUBBORN)
    wait_for(lambda: "deaf" in processes.log("deaf").read_text())
    assert processes.stop(["deaf"], seconds=0.4) == ["deaf"]
    assert running(pid) is None


def test_a_stale_pid_file_that_names_a_foreign_process_is_not_signalled(processes: Processes, start) -> None:
    start("one", SLEEP)
    with subprocess.Popen(SLEEP) as foreign:
        (processes.folder / "pids" / "one.pid").write_text(f"{foreign.pid}\n")
        assert processes.pid("one") is None
        processes.stop(["one"], seconds=1)
        assert foreign.poll() is None
        foreign.kill()


def test_a_pid_that_was_given_to_another_process_since_is_not_ours(processes: Processes) -> None:
    with subprocess.Popen(SLEEP) as foreign:
        (processes.folder / "pids" / "one.pid").write_text(f"{foreign.pid}\n")
        record = {"pid": foreign.pid, "started": "another-boot/1", "settings": ""}
        (processes.folder / "pids" / ".started" / "one.json").write_text(json.dumps(record))
        assert processes.pid("one") is None
        processes.stop(["one"], seconds=1)
        assert foreign.poll() is None
        foreign.kill()


def test_a_pid_file_that_holds_no_number_is_taken_as_not_running(processes: Processes) -> None:
    (processes.folder / "pids" / "one.pid").write_text("not a number")
    assert processes.pid("one") is None


def test_children_that_left_the_group_are_killed_as_orphans_when_their_parent_is_gone(
    processes: Processes, start
) -> None:
    parent = start("parent", PARENT)
    wait_for(lambda: processes.log("parent").read_text().strip())
    child = int(processes.log("parent").read_text())
    assert processes.orphans() == []
    os.kill(parent, signal.SIGKILL)
    wait_for(lambda: not processes.is_running("parent"))
    assert processes.orphans() == [child]
    assert processes.kill_orphans() == [child]
    assert running(child) is None


def test_another_checkouts_processes_are_no_orphans_of_ours(processes: Processes, start, tmp_path: Path) -> None:
    start("one", SLEEP)
    other = Processes(tmp_path / "another run")
    assert other.orphans() == []


def test_what_it_wrote_last_is_shown_when_it_fails(processes: Processes, start) -> None:
    start("broken", [sys.executable, "-c", "import time; print('it is the disk', flush=True); time.sleep(600)"])
    wait_for(lambda: processes.log("broken").read_text())
    assert "it is the disk" in processes.last_words("broken")


def test_a_second_start_in_the_same_checkout_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with only_one(file), pytest.raises(StackError, match=f"process {os.getpid()}"), only_one(file):
        pass
    with only_one(file):
        pass
