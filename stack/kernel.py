"""What the kernel says about processes, read from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A process as the kernel knows it: the pid with the start time cannot be mistaken after the pid is reused."""

    pid: int
    started: str
    parent: int


def running(pid: int) -> Running | None:
    """The living process of that pid; None when there is none, or only a zombie that nobody has collected."""
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the command, in brackets, may hold spaces and brackets itself
    return None if fields[0] in "ZX" else Running(pid, f"{boot}/{fields[19]}", int(fields[1]))


def line_of(pid: int) -> set[int]:
    """A pid with its parents up to the first process of all."""
    line: set[int] = set()
    while pid and pid not in line:
        line.add(pid)
        found = running(pid)
        pid = found.parent if found else 0
    return line


def works_in(pid: int, folder: Path) -> bool:
    """Whether the process of that pid lives and has `folder` as its working directory."""
    try:
        return running(pid) is not None and (Path("/proc") / str(pid) / "cwd").resolve() == folder.resolve()
    except OSError:
        return False
