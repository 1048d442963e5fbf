"""Keeps the data docs to the newest loads: a load each half hour would make them slow to build and endless."""

from __future__ import annotations

import shutil
from pathlib import Path

KEPT_RUNS = 200
_PLACES = ("gx/uncommitted/validations", "gx/uncommitted/data_docs/local_site/validations")


def prune_docs(docs_path: Path, *, keep: int = KEPT_RUNS) -> None:
    """Remove the results and pages of all but the newest runs of each suite."""
    for place in _PLACES:
        for suite in (docs_path / place).glob("*/"):
            runs = sorted(suite.glob("*/"), key=lambda run: run.stat().st_mtime, reverse=True)
            for run in runs[keep:]:
                shutil.rmtree(run, ignore_errors=True)
