"""Processes of one run folder: each in its own group, with a pid file, and never mistaken for somebody else's."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.errors import StackError
from stack.kernel import line_of, running

# Set on every child and inherited by its children. It does not begin with CARENOTIFY_, where unknown names are refused.
MARKER = "CARESTACK_RUN_DIR"
_LAST_LINES = 12
_KILL_SECONDS = 10
_PATIENCE_SECONDS = 8.0


class Processes:
    """Start, find and stop the processes whose pid files are in `folder`/pids and whose logs are in `folder`/logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._pids = self.folder / "pids"
        self._records = self._pids / ".started"
        self._logs = self.folder / "logs"
        for needed in (self._pids, self._records, self._logs):
            needed.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        account: pwd.struct_passwd | None = None,
        settings: str = "",
    ) -> int:
        """Start `argv` in a process group of its own, its output in logs/NAME.log, and return its pid.

        `settings` is any text that tells one way of starting it from another; `settings(name)` gives it back.
        """
        marked = {**environment, MARKER: str(self.folder), "SPT_NOENV": "1"}  # titles must not overwrite the marker
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in argv],
                env=marked,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **as_account(account),
            )
        self._record(name, process.pid, settings)
        return process.pid

    def pid(self, name: str) -> int | None:
        """The pid of our running process of that name; None when it is not running, whatever a pid file says."""
        try:
            record = json.loads((self._records / f"{name}.json").read_text())
            written = int(self._pid_file(name).read_text())
        except (OSError, ValueError):
            return None
        found = running(written)
        return written if found and (found.pid, found.started) == (record["pid"], record["started"]) else None

    def settings(self, name: str) -> str:
        """What was said about the way in which our running process of that name was started."""
        try:
            return str(json.loads((self._records / f"{name}.json").read_text())["settings"])
        except (OSError, ValueError):
            return ""

    def is_running(self, name: str) -> bool:
        """Whether our process of that name runs."""
        return self.pid(name) is not None

    def names(self) -> list[str]:
        """Every name that has a pid file, running or not."""
        return sorted(file.stem for file in self._pids.glob("*.pid"))

    def log(self, name: str) -> Path:
        """The file that holds what the process wrote."""
        return self._logs / f"{name}.log"

    def last_words(self, name: str) -> str:
        """The last lines of a process's log, to show beside an error."""
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"    {line}" for line in lines[-_LAST_LINES:])

    def stop(
        self, names: Iterable[str], *, seconds: float, first: Mapping[str, signal.Signals] | None = None
    ) -> list[str]:
        """Ask the named processes to end, all at once, and kill the groups of those that have not after `seconds`.

        `first` names the signal that asks a process, where it is not SIGTERM. After some seconds the whole group is
        asked: Airflow's scheduler waits for its tasks for ever otherwise. Returns the names of those that were killed.
        """
        ours = {name: pid for name in names if (pid := self.pid(name)) is not None}
        patience = min(_PATIENCE_SECONDS, seconds / 2)
        for ask, wait in ((_signal, patience), (_signal_group, seconds - patience)):
            for name in filter(self.is_running, ours):
                ask(ours[name], (first or {}).get(name, signal.SIGTERM))
            self._wait_for_end(ours, wait)
        killed = [name for name in ours if self.is_running(name)]
        for pid in ours.values():
            _signal_group(pid, signal.SIGKILL)
        self._wait_for_end(ours, _KILL_SECONDS)
        for name in ours:
            self.forget(name)
        return killed

    def _wait_for_end(self, names: Iterable[str], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(self.is_running(name) for name in names) and time.monotonic() < deadline:
            time.sleep(0.05)

    def forget(self, name: str) -> None:
        """Remove the pid file of a process that is gone."""
        if not self.is_running(name):
            self._pid_file(name).unlink(missing_ok=True)
            (self._records / f"{name}.json").unlink(missing_ok=True)

    def orphans(self) -> list[int]:
        """Pids that carry this folder's marker and do not descend from a process with a pid file, as after a crash."""
        kept = {self.pid(name) for name in self.names()} | {os.getpid()}
        return [pid for pid in self._marked() if not kept & line_of(pid)]

    def kill_orphans(self) -> list[int]:
        """Kill every orphan, and return their pids."""
        return _kill_all(self.orphans)

    def kill_everything(self) -> list[int]:
        """Kill every process that carries this folder's marker, and return their pids."""
        return _kill_all(self._marked)

    def _marked(self) -> list[int]:
        pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
        return [pid for pid in pids if running(pid) and self._belongs_here(pid)]

    def _belongs_here(self, pid: int) -> bool:
        place = Path("/proc") / str(pid)
        marker = f"{MARKER}={self.folder}".encode()
        try:
            return marker in (place / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or another account's
            return False

    def _record(self, name: str, pid: int, settings: str) -> None:
        found = running(pid)
        if found is None:
            raise StackError(f"{name} ended at once; see {self.log(name)}\n{self.last_words(name)}")
        (self._records / f"{name}.json").write_text(
            json.dumps({"pid": pid, "started": found.started, "settings": settings})
        )
        self._pid_file(name).write_text(f"{pid}\n")

    def _pid_file(self, name: str) -> Path:
        return self._pids / f"{name}.pid"


def as_account(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments that make subprocess run a command under another account; none for our own."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _kill_all(find: Callable[[], list[int]]) -> list[int]:
    killed: list[int] = []
    deadline = time.monotonic() + _KILL_SECONDS
    while (left := find()) and time.monotonic() < deadline:
        for pid in left:
            _signal(pid, signal.SIGKILL)
        killed.extend(pid for pid in left if pid not in killed)
        time.sleep(0.05)
    return killed


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StackError(f"Process {pid} belongs to another account; run the same command as that account.") from error


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # the whole group has ended, and maybe its number is another's by now
        return
