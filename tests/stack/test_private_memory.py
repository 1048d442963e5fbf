"""Which private servers have their folder in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import private

GIB = 2**30


@pytest.mark.parametrize(
    ("room_gib", "available_gib", "in_memory"),
    [
        pytest.param(12, 8, True, id="plenty"),
        pytest.param(12, 1, False, id="room-but-the-memory-is-used"),
        pytest.param(0.0625, 8, False, id="memory-but-no-room"),
    ],
)
def test_a_folder_is_in_memory_only_where_there_is_room_and_memory_that_nobody_uses(
    room_gib: float, available_gib: int, *, in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(
        f"MemTotal:       24684084 kB\nMemAvailable:   {available_gib * GIB // 1024} kB\nHugePages_Total:       0\n"
    )
    monkeypatch.setattr(private, "_MEMORY", tmp_path)
    monkeypatch.setattr(private, "_MEMINFO", meminfo)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room_gib * GIB))
    assert private._memory() == (tmp_path if in_memory else None)


def test_a_machine_without_such_a_place_uses_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_MEMORY", tmp_path / "none")
    assert private._memory() is None


def test_this_machine_says_how_much_memory_nobody_uses() -> None:
    assert private._available_bytes() > 0
