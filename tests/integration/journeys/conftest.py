"""What loads are played with: a source that obeys, and the steps of a load."""

from __future__ import annotations

from pathlib import Path

import pytest

from carenotify.app import App
from tests.integration.loading import Loads, ScriptedSource


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture(scope="module")
def docs_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for the docs of many checks: making a new one takes longer than a check."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture
def loads(app: App, source: ScriptedSource, docs_path: Path) -> Loads:
    return Loads(app, source, docs_path)
