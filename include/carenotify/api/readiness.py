"""Whether this process can do its work now, looked at no more than once a second however many ask."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock

from carenotify.app import App
from carenotify.errors import DatabaseUnavailableError
from carenotify.messaging.address import is_reachable
from carenotify.storage.database import has_schema

log = logging.getLogger(__name__)

_BELIEVE_SECONDS = 1.0
_DATABASE_SECONDS = 2.0
_BROKER_SECONDS = 1.0

Probe = Callable[[], bool]


class Readiness:
    """Remembers what its probes said."""

    def __init__(self, probes: Mapping[str, Probe], *, timer: Callable[[], float] = time.monotonic) -> None:
        self._probes = probes
        self._timer = timer
        self._guard = Lock()
        self._looked_at = -_BELIEVE_SECONDS
        self._found: dict[str, bool] = {}

    def look(self) -> dict[str, bool]:
        """What each probe says. Whoever asks while another looks waits for the same answer."""
        with self._guard:
            if not self._found or self._timer() - self._looked_at >= _BELIEVE_SECONDS:
                self._found = {name: probe() for name, probe in self._probes.items()}
                self._looked_at = self._timer()
            return self._found


def readiness_of(app: App) -> Readiness:
    """Looks at the app's database and broker."""
    return Readiness({"database": lambda: _database_answers(app), "broker": lambda: _broker_listens(app)})


def _database_answers(app: App) -> bool:
    try:
        with app.database.transaction(timeout_seconds=_DATABASE_SECONDS) as transaction:
            return has_schema(transaction)
    except DatabaseUnavailableError:
        return False


def _broker_listens(app: App) -> bool:
    # No AMQP handshake: a probe every few seconds would fill RabbitMQ's log with connections.
    return is_reachable(app.settings.broker_url.get_secret_value(), timeout_seconds=_BROKER_SECONDS)
