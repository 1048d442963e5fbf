"""A private PostgreSQL and RabbitMQ for the figures, with durable settings as in production."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cryptography.fernet import Fernet

from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.storage.migrate import migrate


@dataclass(frozen=True)
class Servers:
    """Where the two servers of a run are, and the keys that its rows are sealed with."""

    environment: dict[str, str]

    def app(self, **others: str) -> App:
        return build_app(load_settings(self.environment | others), application="bench")


@contextmanager
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        postgres = stack.enter_context(_private("postgres"))
        rabbitmq = stack.enter_context(_private("rabbitmq"))
        migrate(postgres["url"])
        yield Servers(
            {
                "CARENOTIFY_DATABASE_URL": postgres["url"],
                "CARENOTIFY_BROKER_URL": rabbitmq["url"],
                "CARENOTIFY_TIMEZONE": "Europe/Berlin",
                "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
                "CARENOTIFY_INDEX_KEY": "an index key for the bench",
                "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
                "CARENOTIFY_HOSPITAL_NAME": "St. Mary",
                "CARENOTIFY_HOSPITAL_PHONE": "030 1234",
            }
        )


@contextmanager
def _private(kind: str) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "stack.private", kind, "--durable"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())
        server.stdin.close()
