"""Data docs hold the newest loads and no more."""

from __future__ import annotations

import os
from pathlib import Path

from carenotify.quality.data_docs import prune_docs


def test_only_the_newest_runs_of_each_suite_stay(tmp_path: Path) -> None:
    places = ("gx/uncommitted/validations", "gx/uncommitted/data_docs/local_site/validations")
    for place in places:
        for suite in ("appointments", "contacts"):
            for age, run in enumerate(("newest", "middle", "oldest")):
                folder = tmp_path / place / suite / run
                (folder / "20261121T054515Z").mkdir(parents=True)
                os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    prune_docs(tmp_path, keep=2)
    for place in places:
        for suite in ("appointments", "contacts"):
            assert {run.name for run in (tmp_path / place / suite).iterdir()} == {"newest", "middle"}
    prune_docs(tmp_path / "nothing there")
