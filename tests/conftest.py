"""Real servers for the tests that ask for one: started once a session, on first use, and gone with the session."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import hypothesis
import pytest

# A loaded machine is slow now and then, and that is not what these tests are about.
hypothesis.settings.register_profile("carenotify", deadline=None, max_examples=60)
hypothesis.settings.load_profile("carenotify")

ROOT = Path(__file__).parent.parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, share the tests out as it suits what they start."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.side_by_side import WholeFilesAndFolders

    return WholeFilesAndFolders(config, log)


class Fresh(Protocol):
    """Makes a database or a virtual host of its own, which lives as long as the `with` block."""

    def __call__(self) -> AbstractContextManager[str]: ...


@contextmanager
def _private_server(kind: str) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "stack.private", kind]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            pytest.fail(f"the private {kind} server did not start")
        yield json.loads(line)
        server.stdin.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of the maintenance database of an otherwise empty PostgreSQL server, as its superuser."""
    with _private_server("postgres") as server:
        yield server["url"]


@pytest.fixture(scope="session")
def fresh_database(postgres_url: str) -> Iterator[Fresh]:
    """`with fresh_database() as url:` gives a database of its own, as `carenotify migrate` leaves it."""
    import psycopg

    def url(name: str) -> str:
        return f"{postgres_url.rpartition('/')[0]}/{name}"

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_carenotify")
        _migrate(url("template_carenotify"))
        used: list[str] = []

        @contextmanager
        def fresh() -> Iterator[str]:
            while used:  # late, when nobody is connected any more: PostgreSQL sleeps 100 ms for whoever is just leaving
                connection.execute(f"DROP DATABASE {used.pop()} WITH (FORCE)")  # type: ignore[arg-type]
            name = f"test_{uuid.uuid4().hex[:12]}"
            copy = "TEMPLATE template_carenotify STRATEGY file_copy"  # the other one writes every page to the log
            connection.execute(f"CREATE DATABASE {name} {copy}")  # type: ignore[arg-type]
            yield url(name)
            used.append(name)

        yield fresh


def _migrate(url: str) -> None:
    from carenotify.app import build_app
    from carenotify.storage.migrate import migrate
    from tests.integration.ward import make_settings

    migrate(url)
    with closing(build_app(make_settings(url))) as app:
        app.seed_templates()


@pytest.fixture
def database_url(fresh_database: Fresh) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(fresh_database: Fresh) -> Iterator[str]:
    """A migrated, empty database that the tests of one file share."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[dict[str, str]]:
    """A RabbitMQ node: `url` of its default virtual host, `management_url`, and the `password` of both."""
    with _private_server("rabbitmq") as server:
        yield server


@pytest.fixture(scope="session")
def fresh_broker(rabbitmq_server: dict[str, str]) -> Fresh:
    """`with fresh_broker() as url:` gives an empty virtual host of its own."""
    from stack.rabbitmq import ADMIN, call_management

    def call(method: str, path: str, body: object = None) -> None:
        call_management(
            rabbitmq_server["management_url"], method, path, password=rabbitmq_server["password"], body=body
        )

    @contextmanager
    def fresh() -> Iterator[str]:
        name = quote(f"test-{uuid.uuid4().hex[:12]}", safe="")
        call("PUT", f"/api/vhosts/{name}")
        call("PUT", f"/api/permissions/{name}/{ADMIN}", {"configure": ".*", "write": ".*", "read": ".*"})
        yield f"{rabbitmq_server['url'].rpartition('/')[0]}/{name}"
        call("DELETE", f"/api/vhosts/{name}")

    return fresh


@pytest.fixture
def broker_url(fresh_broker: Fresh) -> Iterator[str]:
    """An empty virtual host for one test."""
    with fresh_broker() as url:
        yield url


@pytest.fixture(scope="module")
def module_broker_url(fresh_broker: Fresh) -> Iterator[str]:
    """An empty virtual host that the tests of one file share."""
    with fresh_broker() as url:
        yield url
