"""An Airflow of the tests' own: a home with a migrated SQLite database, shared by the session."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from carenotify.app import App, build_app
from carenotify.config import load_settings

ROOT = Path(__file__).parents[3]
PlayDag = Callable[..., dict[str, Any]]


class _OnAnyPort(Controller):
    """aiosmtpd's server, which asks itself for a mail under port 0 when it is told to take any."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mailbox:
    """A mail server that keeps what it is sent, and can be away, refuse recipients, or break off before it answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuses: bool | str = False  # all recipients, or one
        self.breaks_off = False
        self._server: _OnAnyPort | None = None

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuses in (True, address):
            return f"550 5.1.1 <{address}>: no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, EmailMessage, policy=default)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        if self.breaks_off:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 2.0.0 OK"

    def open(self) -> None:
        self._server = _OnAnyPort(self, hostname="127.0.0.1", port=0)
        self._server.start()
        self._port = self._server.port

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def connection(self) -> str:
        """How Airflow is told of it."""
        extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 0}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self._port, "extra": extra})

    @property
    def url(self) -> str:
        """How our own e-mail providers are told of it."""
        return f"smtp://127.0.0.1:{self._port}"

    def html(self, number: int = 0) -> str:
        body = self.mails[number].get_body(("html",))
        assert body is not None
        text: str = body.get_content()
        return text


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a statement answers in the `carenotify` schema."""
    with psycopg.connect(url, options="-c search_path=carenotify") as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    mailbox.open()
    yield mailbox
    mailbox.close()


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[App]:
    """What the DAG works with, by the settings that it is played with."""
    app = build_app(load_settings({name: value for name, value in settings.items() if name.startswith("CARENOTIFY_")}))
    yield app
    app.close()


@pytest.fixture(scope="session")
def airflow_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an Airflow that has this checkout's DAGs and nothing else."""
    home = tmp_path_factory.mktemp("airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CARENOTIFY_"))}
    environment = inherited | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "GX_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "include"), str(ROOT / "dags"), str(ROOT)]),
    }
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment, cwd=home, check=True, capture_output=True)
    return environment


@pytest.fixture(scope="session")
def dag_server(airflow_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported what takes seconds, and plays each DAG in a fork of itself."""
    command = [sys.executable, "-m", "tests.integration.dags.dag_process"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=airflow_environment, cwd=ROOT, text=True, **pipes) as server:
        yield server
        server.kill()


@pytest.fixture
def dag_process(dag_server: subprocess.Popen[str], airflow_environment: dict[str, str], tmp_path: Path) -> PlayDag:
    """`dag_process(verb, dag_id, conf, settings)`, such as "play", gives the answer and under `log` what was logged."""
    return player(dag_server, airflow_environment, folder=tmp_path)


def player(server: subprocess.Popen[str], environment: dict[str, str], *, folder: Path) -> PlayDag:
    """Plays DAGs in forks of the server, which write what they log and answer into the folder."""
    log, answer = folder / "dag.log", folder / "dag.json"

    def run(verb: str, dag_id: str, conf: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
        request = {
            "verb": verb,
            "dag_id": dag_id,
            "conf": conf,
            "environment": environment | settings,
            "log": str(log),
            "answer": str(answer),
        }
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        ended_with = server.stdout.readline().strip()
        logged = log.read_text()
        assert ended_with == "0", logged[-8000:]
        told: dict[str, Any] = json.loads(answer.read_text())
        return told | {"log": logged}

    return run
