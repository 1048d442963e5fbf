"""Several processes that count together: in files of one directory, which are added up for whoever asks."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric

# prometheus_client's own variable. It looks when it is imported, so it has to be set before anybody calls `begin()`.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_LOCK = "lock"
_ENDED = "ended"
# What stays true when its process is gone; gauges do not.
_KEPT = ("counter", "histogram")


class _Shared:
    """Where this process counts together with others."""

    directory: Path | None = None


def share() -> Path:
    """Make a directory, and let this process and those that it forks count together in it."""
    _Shared.directory = Path(tempfile.mkdtemp(prefix="carenotify-metrics-"))
    os.environ[VARIABLE] = str(_Shared.directory)
    return _Shared.directory


def shared_directory() -> Path | None:
    """Where this process counts together with others; None when it counts alone."""
    return _Shared.directory


def unshare(directory: Path) -> None:
    """Remove the directory. Nobody counts in it any more."""
    shutil.rmtree(directory, ignore_errors=True)


def counted_together(directory: Path) -> list[Metric]:
    """What all processes have counted in this directory, those that are gone too."""
    from prometheus_client.multiprocess import MultiProcessCollector

    with undisturbed(directory):
        files = [str(file) for file in directory.glob("*.db") if _has_begun(file)]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def _has_begun(file: Path) -> bool:
    """Not one that a process has made a moment ago and not filled yet: prometheus_client cannot read that."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # a gauge of a process that is gone
        return False


@contextmanager
def undisturbed(directory: Path) -> Iterator[None]:
    """While this lasts, nothing is moved from one file to another, which would be counted twice or be missing."""
    with (directory / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def fold(directory: Path, pid: int) -> None:
    """Keep what a process that is gone has counted, in one file for all that are, so that files do not pile up.

    While somebody reads, its counts stay where they are, and add up all the same. Its gauges go at once.
    """
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]
    with (directory / _LOCK).open("a") as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for kind in _KEPT:
            _fold(directory, kind, pid)


def _fold(directory: Path, kind: str, pid: int) -> None:
    from prometheus_client.mmap_dict import MmapedDict

    file = directory / f"{kind}_{pid}.db"
    if not file.exists():
        return
    kept = MmapedDict(str(directory / f"{kind}_{_ENDED}.db"))  # type: ignore[no-untyped-call]
    for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
        kept.write_value(key, kept.read_value(key)[0] + value, timestamp)  # type: ignore[no-untyped-call]
    kept.close()  # type: ignore[no-untyped-call]
    file.unlink()
