"""What Prometheus asks for."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request

from carenotify.api.counting import note_connections
from carenotify.api.endpoint import endpoint
from carenotify.api.loopback import from_this_machine
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.metrics import exposition

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
@endpoint(Scope.METRICS_READ, tag="health", answers={HTTPStatus.OK: None}, also=from_this_machine)
def get_metrics() -> Response:
    """Give the metrics of this server and of the database, as text or, when asked for by Accept, as OpenMetrics.

    While the database is away, `carenotify_database_up` is 0 and the others of its figures are left out. Callers of
    the same machine need no key where nobody else can reach the server.
    """
    note_connections()
    reading = wiring().app.figure_reader.read(patient_days=True)
    found = exposition(request.headers.get("Accept", ""), reading=reading)
    return Response(found.body, content_type=found.content_type)
