"""Every request is counted and timed, under the rule of its URL: what was called may be a patient's id."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request

from carenotify.api.wiring import wiring
from carenotify.metrics import record_connections, record_request


def install(flask: Flask) -> None:
    """Begin before anything else looks at a request, and count when all others are done with the answer."""
    flask.before_request(_begin)
    flask.after_request(_count)


def note_connections() -> None:
    """Say how this process' connections to the database stand. Others may be asked for all of them."""
    connections = wiring().app.database.connections()
    record_connections(busy=connections.busy, idle=connections.idle, waiting=connections.waiting)


def _begin() -> None:
    g.begun = time.perf_counter()


def _count(response: Response) -> Response:
    route = None if request.url_rule is None else request.url_rule.rule
    record_request(request.method, route, response.status_code, seconds=time.perf_counter() - g.begun)
    note_connections()
    return response
