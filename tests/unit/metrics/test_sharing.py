"""What processes count together stays whole when one of them is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from carenotify.metrics import sharing


def count(directory: Path, pid: int, **numbers: float) -> None:
    """A process has counted so much, by the values of a label."""
    for kind in ("counter", "gauge_livesum"):
        kept = MmapedDict(str(directory / f"{kind}_{pid}.db"))
        for of, number in numbers.items():
            key = mmap_key(f"a_{kind}", f"a_{kind}", ("of",), (of,), "What is counted.")
            kept.write_value(key, number, 0.0)
        kept.close()


def total(directory: Path, name: str) -> dict[str, float]:
    metrics = sharing.counted_together(directory)
    return {sample.labels["of"]: sample.value for metric in metrics if metric.name == name for sample in metric.samples}


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.db"))


def test_counts_of_those_that_are_gone_are_kept_in_one_file_and_their_gauges_are_not(tmp_path: Path) -> None:
    count(tmp_path, 1, mails=3, texts=1)
    count(tmp_path, 2, mails=5)
    count(tmp_path, 3, mails=10)
    for pid in (1, 2, 1, 99):
        sharing.fold(tmp_path, pid)
    assert files(tmp_path) == ["counter_3.db", "counter_ended.db", "gauge_livesum_3.db"]
    assert total(tmp_path, "a_counter") == {"mails": 18, "texts": 1}
    assert total(tmp_path, "a_gauge_livesum") == {"mails": 10}


def test_while_somebody_reads_counts_stay_where_they_are(tmp_path: Path) -> None:
    count(tmp_path, 1, mails=3)
    with sharing.undisturbed(tmp_path):
        sharing.fold(tmp_path, 1)
        assert files(tmp_path) == ["counter_1.db"]
    assert total(tmp_path, "a_counter") == {"mails": 3}
    sharing.fold(tmp_path, 1)
    assert total(tmp_path, "a_counter") == {"mails": 3}


def test_a_file_that_was_made_a_moment_ago_and_is_empty_still_spoils_nothing(tmp_path: Path) -> None:
    count(tmp_path, 1, mails=3)
    (tmp_path / "counter_2.db").touch()
    (tmp_path / "gauge_livesum_2.db").touch()
    assert total(tmp_path, "a_counter") == {"mails": 3}
    assert total(tmp_path, "a_gauge_livesum") == {"mails": 3}


def test_the_directory_is_made_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(sharing.VARIABLE, "")
    monkeypatch.setattr("carenotify.metrics.sharing._Shared.directory", None)
    directory = sharing.share()
    assert sharing.shared_directory() == directory
    assert directory.is_dir()
    sharing.unshare(directory)
    assert not directory.exists()
