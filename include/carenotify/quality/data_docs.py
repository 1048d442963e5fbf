"""Where the gate's data docs are. Apart from the gate, since importing that imports Great Expectations."""

from __future__ import annotations

from pathlib import Path

# What Great Expectations makes of a file context's project; beside it lie its configuration and its results.
_SITE = Path("gx", "uncommitted", "data_docs", "local_site")


def site(docs_path: Path) -> Path:
    """The folder with the HTML, and nothing else, of the docs that were written below `docs_path`."""
    return docs_path / _SITE
