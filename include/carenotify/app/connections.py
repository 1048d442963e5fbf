"""What a process is connected to: the database, the broker, the patient API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import requests

from carenotify.messaging.consumer import Consumer, Delivery
from carenotify.messaging.dead_letters import FailedQueue
from carenotify.messaging.publisher import Publisher
from carenotify.sources.base import AppointmentSource
from carenotify.storage.database import Database
from carenotify.storage.sealed import Sealer

if TYPE_CHECKING:
    from carenotify.app import App

# The recorder and the claimer of each of a worker's channels, the relay with its two pipelines, and the loops.
_CONNECTIONS = 16


def sealer(app: App) -> Sealer:
    """Seals personal data."""
    keys = [key.get_secret_value() for key in app.settings.encryption_keys]
    return Sealer(encryption_keys=keys, index_key=app.settings.index_key.get_secret_value())


def database(app: App) -> Database:
    """The carenotify database."""
    return Database(
        app.settings.database_url.get_secret_value(),
        sealer=app.sealer,
        max_connections=_CONNECTIONS,
        application=app.application,
    )


def publisher(app: App) -> Publisher:
    """Publishes to the lanes' queues."""
    return Publisher(app.settings.broker_url.get_secret_value())


def consumer(
    app: App, queues: Sequence[str], *, prefetch: int, deliver: Callable[[Delivery], None], priority: int = 0
) -> Consumer:
    """A consumer of some queues."""
    url = app.settings.broker_url.get_secret_value()
    return Consumer(url, queues, prefetch=prefetch, deliver=deliver, priority=priority)


def failed_queue(app: App) -> FailedQueue:
    """What the broker gave up."""
    return FailedQueue(app.settings.broker_url.get_secret_value())


def source(app: App) -> AppointmentSource:
    """The patient API of CARENOTIFY_PATIENT_API_URL; the DAG opens its own, over Airflow's connection."""
    from carenotify.sources.fhir_r4 import open_fhir_r4

    return open_fhir_r4(app.settings, session=requests.Session())
