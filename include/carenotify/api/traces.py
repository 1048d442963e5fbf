"""A span for each request of somebody who was let in.

Whoever is refused leaves none, and only those who were let in may say which trace they belong to: nobody else fills
the trace store, or hides in it. Installed after the guard, so it comes to run only when the guard lets through.
"""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, current_app, g, request

from carenotify.api.endpoint import endpoint_of
from carenotify.tracing import span


def install(flask: Flask) -> None:
    """Trace what passes the guard."""
    flask.before_request(_begin)
    flask.after_request(_note)
    flask.teardown_request(_end)


def _begin() -> None:
    if request.url_rule is None or request.endpoint is None:
        return  # there is no such page
    endpoint = endpoint_of(current_app.view_functions[request.endpoint])
    if endpoint is None or endpoint.is_open:
        return  # probes come every few seconds
    g.span = span(
        f"{request.method} {request.url_rule.rule}",
        kind="server",
        parent=request.headers.get("traceparent") if "caller" in g else None,
        method=request.method,
        route=request.url_rule.rule,
        correlation_id=g.correlation_id,
    ).__enter__()


def _note(response: Response) -> Response:
    if "span" in g:
        g.span.note(status_code=response.status_code)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            g.span.fail(str(response.status_code))
    return response


def _end(_: BaseException | None) -> None:
    if "span" in g:
        g.pop("span").__exit__(None, None, None)
