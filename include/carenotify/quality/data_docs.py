"""Where the gate's data docs are, and how many are kept.

Apart from the gate, since importing that imports Great Expectations.
"""

from __future__ import annotations

import shutil
from pathlib import Path

# What Great Expectations makes of a file context's project; beside it lie its configuration and its results.
_SITE = Path("gx", "uncommitted", "data_docs", "local_site")
_RESULTS = (Path("gx", "uncommitted", "validations"), _SITE / "validations")
# A load each half hour would make them slow to build, and endless.
_KEPT_RUNS = 200


def site(docs_path: Path) -> Path:
    """The folder with the HTML, and nothing else, of the docs that were written below `docs_path`."""
    return docs_path / _SITE


def prune_docs(docs_path: Path, *, keep: int = _KEPT_RUNS) -> None:
    """Remove the results and pages of all but the newest runs of each suite."""
    for results in _RESULTS:
        for suite in (docs_path / results).glob("*/"):
            runs = sorted(suite.glob("*/"), key=lambda run: run.stat().st_mtime, reverse=True)
            for run in runs[keep:]:
                shutil.rmtree(run, ignore_errors=True)


def forget_run(docs_path: Path, suite: str, run_name: str) -> None:
    """Remove the results and the page of one run; the index leaves it out when it is next written."""
    for results in _RESULTS:
        shutil.rmtree(docs_path / results / suite / run_name, ignore_errors=True)
