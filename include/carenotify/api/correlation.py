"""One id for each request: taken from the caller when it is a plain one, told in the answer and in our logs."""

from __future__ import annotations

import re
import uuid

from flask import Flask, Response, g, request

from carenotify.logs import about

HEADER = "X-Correlation-ID"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def install(flask: Flask) -> None:
    """Give every request its id before anything else looks at it; each of its log lines has it."""
    flask.before_request(_take)
    flask.after_request(_tell)
    flask.teardown_request(_forget)


def _take() -> None:
    given = request.headers.get(HEADER, "")
    g.correlation_id = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex
    g.logged_about = about(correlation_id=g.correlation_id).__enter__()


def _tell(response: Response) -> Response:
    response.headers[HEADER] = g.correlation_id
    return response


def _forget(_: BaseException | None) -> None:
    if "logged_about" in g:
        g.pop("logged_about").__exit__(None, None, None)
