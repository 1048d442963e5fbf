"""The calls in the documents run as they stand, in a shell, against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from werkzeug.serving import make_server

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.domain.access import ALL_SCOPES
from tests.integration.ward import Hospital, make_settings

ROOT = Path(__file__).parents[3]
_DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "api.md")
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
# curl as it is, but for an answer of 400 or more, which ends the block as an error would.
_STRICT = 'set -e\ncurl() { command curl --fail-with-body --silent --show-error -w "\\n" "$@"; }\n'

CALLS = [
    pytest.param(block, id=f"{document.name}-{number}")
    for document in _DOCUMENTS
    for number, block in enumerate(_SHELL.findall(document.read_text()), start=1)
    if '"$CARENOTIFY_API_URL' in block
]


@pytest.fixture
def served(database_url: str) -> Iterator[dict[str, str]]:
    """A server by the wall clock, as the calls say `date`, with the patients that they name."""
    app: App = build_app(make_settings(database_url))
    hospital = Hospital(app.database)
    for patient in ("p1", "pat-000098"):
        hospital.add_patient(patient)
    flask = create_app(app, person=lambda _: None)
    server = make_server("127.0.0.1", 0, flask, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    key = Desk(app, flask.test_client()).key(*ALL_SCOPES)
    yield {"CARENOTIFY_API_URL": f"http://127.0.0.1:{server.server_port}/carenotify/v1", "CARENOTIFY_API_KEY": key}
    server.shutdown()
    thread.join()
    server.server_close()
    app.close()


def test_each_route_stands_in_the_table_once() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    rows = re.findall(r"^\| (`(?:GET|POST|PUT|DELETE) .*?) \| ", text, re.MULTILINE)
    routes = [route for row in rows for route in re.findall(r"`((?:GET|POST|PUT|DELETE) [^`?]+)", row)]
    assert "POST /dead-letters/discard" in routes
    assert sorted(routes) == sorted(set(routes))


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("block", CALLS)
def test_a_documented_call_is_answered_with_success(block: str, served: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".run").mkdir()
    lines = "".join(f"export {name}={value!r}\n" for name, value in served.items())
    (tmp_path / ".run" / "env").write_text(lines)
    done = subprocess.run(
        ["bash", "-c", _STRICT + block],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **served},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_both_documents_show_calls() -> None:
    assert {call.id.rpartition("-")[0] for call in CALLS if call.id} == {document.name for document in _DOCUMENTS}
