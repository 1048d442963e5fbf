"""Whether the process runs, and whether it can work."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import BaseModel

from carenotify.api.endpoint import open_endpoint
from carenotify.api.problems import ProblemError
from carenotify.api.wiring import wiring

health = Blueprint("health", __name__)


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Ready(BaseModel):
    """The process can work. Without a broker it accepts everything and sends when the broker is back."""

    database: bool
    broker: bool


@health.get("/health")
@open_endpoint(tag="health", answers={HTTPStatus.OK: Health})
def get_health() -> Health:
    """Tell that the process runs."""
    return Health()


@health.get("/ready")
@open_endpoint(tag="health", answers={HTTPStatus.OK: Ready, HTTPStatus.SERVICE_UNAVAILABLE: None})
def get_ready() -> Ready:
    """Tell whether the database can be used (else 503), and whether the broker can be reached.

    A broker that is away is told and does not make the answer a 503: events are accepted all the same, and taking
    this process out of a load balancer is what would lose them.
    """
    ready = Ready.model_validate(wiring().readiness.look())
    if not ready.database:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "The database cannot be used just now, or has no tables yet."
        )
    return ready
