"""A PostgreSQL and a RabbitMQ that may be killed, for all small drills together; each drill has a part of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from carenotify.storage.migrate import migrate
from drills.private_server import PrivateServer, private_server
from drills.ward import Size, Ward, open_ward
from stack.progress import say
from stack.rabbitmq import ADMIN, call_management

GRACE_SECONDS = 4.0
STALLED_SECONDS = 12.0
BREAKER_SECONDS = 90.0  # for drills in which a provider's breaker may open for its minute

OpenWard = Callable[..., Ward]


@pytest.fixture(scope="module")
def mortal_postgres() -> Iterator[PrivateServer]:
    with private_server("postgres") as server:
        yield server


@pytest.fixture(scope="module")
def mortal_broker() -> Iterator[PrivateServer]:
    with private_server("rabbitmq") as server:
        yield server


@pytest.fixture
def small_ward(mortal_postgres: PrivateServer, mortal_broker: PrivateServer, tmp_path: Path) -> Iterator[OpenWard]:
    """`small_ward(size, settings…, without=…)` opens a ward whose workers are quick to take over from those gone."""
    with ExitStack() as stack:
        stack.callback(_show_logs, tmp_path)

        def opened(
            size: Size, *arguments: str, without: str = "", stalled_seconds: float = STALLED_SECONDS, **settings: str
        ) -> Ward:
            name = f"drill_{uuid4().hex[:12]}"
            url = f"{mortal_postgres.url.rpartition('/')[0]}/{name}"
            with psycopg.connect(mortal_postgres.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
            migrate(url)
            changes = {"CHANGED_GRACE_SECONDS": str(GRACE_SECONDS), "CHANGED_WITHOUT": without}
            return stack.enter_context(
                open_ward(
                    database=mortal_postgres,
                    broker=mortal_broker,
                    database_url=url,
                    broker_url=add_virtual_host(mortal_broker, name),
                    folder=tmp_path,
                    size=size,
                    settings={"CARENOTIFY_CLAIM_SECONDS": "2", "CARENOTIFY_REQUEUE_AFTER_SECONDS": "86400"}
                    | settings
                    | changes,
                    stalled_seconds=stalled_seconds,
                    seed=1,
                    module="tests.integration.drills.changed_worker",
                    arguments=arguments,
                )
            )

        yield opened


def _show_logs(folder: Path) -> None:
    """What the workers said last, for whoever reads of a drill that failed."""
    for log in sorted(folder.glob("worker-*.log")):
        say(f"--- {log.name}\n{log.read_text()[-5000:]}")


def add_virtual_host(broker: PrivateServer, name: str) -> str:
    """Its address."""
    for path, body in (
        (f"/api/vhosts/{name}", None),
        (f"/api/permissions/{name}/{ADMIN}", {"configure": ".*", "write": ".*", "read": ".*"}),
    ):
        call_management(broker.address["management_url"], "PUT", path, password=broker.address["password"], body=body)
    return f"{broker.url.rpartition('/')[0]}/{name}"
