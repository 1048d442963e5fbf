"""The commands in the documents are there, with these options, in the one form that runs as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from carenotify.config import PREFIX
from tests.integration.conftest import Run
from tests.integration.ward import Hospital

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_RUN = ".venv/bin/python -m carenotify "
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(\.venv/bin/python -m carenotify [^`]+)`")
_QUERY = re.compile(r'psql "\$CARENOTIFY_DATABASE_URL" -c "([^"]+)"')


def _commands(text: str) -> Iterator[str]:
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines() if line.startswith(_RUN)]
    for line in (*lines, *_INLINE.findall(text)):
        yield line.removeprefix(_RUN)


COMMANDS = sorted({command for document in DOCUMENTS for command in _commands(document.read_text())})
QUERIES = sorted({query for document in DOCUMENTS for query in _QUERY.findall(document.read_text())})


@pytest.fixture
def environment(hospital: Hospital, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The patient whom the documents name, and what the commands need besides a database."""
    hospital.add_patient("pat-000098")
    monkeypatch.setenv(PREFIX + "DATA_DOCS_PATH", str(tmp_path))
    monkeypatch.setenv(PREFIX + "API_KEY", "cn_0123456789_" + "a" * 43)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("environment")
def test_a_documented_command_is_understood_and_ends_without_a_traceback(run: Run, command: str) -> None:
    result = run(*shlex.split(command, comments=True))
    assert result.exit_code in {0, 1}, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_is_answered(query: str, hospital: Hospital) -> None:
    assert hospital.query(query) == []


def test_the_documents_show_commands_and_queries() -> None:
    assert {command.split()[0] for command in COMMANDS} >= {"providers", "dead-letters", "suppressions", "keys", "send"}
    assert QUERIES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_blocks_run_as_they_stand(document: Path) -> None:
    for block in _BLOCK.findall(document.read_text()):
        assert not re.search(r"^python -m carenotify\b(?!\.)", block, re.MULTILINE), "as .venv/bin/python, like all"
        if re.search(r"^\.venv/bin/python -m carenotify", block, re.MULTILINE):
            assert ". .run/env" in block, block
