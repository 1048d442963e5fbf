"""What every request passes before its view: limits, authentication, scopes, same origin, and a readable body.

A request that is signed instead passes its signature. Those that fit are not limited: a provider reports on ten
thousand messages within minutes, from few addresses, and whoever holds its secret is believed. Those that do not fit
count for their address, apart from its other requests, and past its limit no signature is looked at any more. Where
nobody can tell, the answer is a 503, for providers do not repeat what was refused.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, current_app, g, request
from werkzeug.exceptions import BadRequest

from carenotify.api.authentication import Caller
from carenotify.api.endpoint import Endpoint, Signature, endpoint_of
from carenotify.api.problems import ProblemError, wrong_field
from carenotify.api.wiring import wiring
from carenotify.domain.access import ALL_SCOPES
from carenotify.errors import SignatureUncheckedError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
# A page of another site cannot send a header of its own choice with a visitor's cookie (Fetch standard, CORS).
SAME_ORIGIN_HEADER = "X-Carenotify-Request"
_PIECE_BYTES = 64 * 1024
_DRAINED_PIECES = 256  # 16 MiB
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def install(flask: Flask) -> None:
    """Put the guard before every view."""
    flask.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # Flask cuts a chunked body there without a word
    flask.before_request(_guard)


def caller() -> Caller:
    """Who makes this request. Only for views that need a scope."""
    found: Caller = g.caller
    return found


def _guard() -> None:
    limits = wiring().limits
    endpoint = None if request.endpoint is None else endpoint_of(current_app.view_functions[request.endpoint])
    if endpoint is not None and endpoint.signature is not None:
        _check_signature(endpoint.signature)
        return
    limits.count_address(request.remote_addr or "")
    if request.endpoint is None:
        return  # no such URL or method: Flask answers that after us
    if endpoint is None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "This is not open to anybody.")
    if any("\0" in str(part) for part in (request.view_args or {}).values()):
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is nothing with that id.")  # PostgreSQL's text cannot hold it
    if not endpoint.is_open and not (endpoint.also is not None and endpoint.also()):
        g.caller = _admitted(endpoint)
        limits.count_caller(g.caller.actor)
    _check_body(endpoint)


def _check_signature(signature: Signature) -> None:
    limits, address = wiring().limits, request.remote_addr or ""
    limits.refuse_forger(address)
    try:
        _check_size()
        fits = signature.fits()
    except SignatureUncheckedError as error:
        log.warning("a call to %s was put off: %s", request.path, error)
        raise
    except Exception:
        limits.count_forged(address)  # what cannot even be read is nobody's whom we know
        raise
    if not fits:
        limits.count_forged(address)
        raise ProblemError(HTTPStatus.FORBIDDEN, "This is open only to those who sign what they send.")


def _admitted(endpoint: Endpoint) -> Caller:
    found = wiring().doorkeeper.identify(request)
    if found is None:
        detail = "Show an API key or an Airflow token that is valid: Authorization: Bearer …"
        raise ProblemError(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
    if not endpoint.any_of & found.scopes:
        raise ProblemError(HTTPStatus.FORBIDDEN, _needs(endpoint))
    if found.by_cookie and request.method not in _SAFE_METHODS:
        _check_same_origin()
    return found


def _needs(endpoint: Endpoint) -> str:
    if endpoint.any_of == ALL_SCOPES:
        return (
            "You have no rights here yet: ask for a role in Airflow (Viewer, User, Op or Admin), or a key with a scope."
        )
    return f"This needs the scope {' or '.join(sorted(endpoint.any_of))}."


def _check_same_origin() -> None:
    site = request.headers.get("Sec-Fetch-Site", "same-origin")  # browsers send it, and pages cannot change it
    if SAME_ORIGIN_HEADER not in request.headers or site != "same-origin":
        detail = f"A browser's login changes things only from our own pages, with the header {SAME_ORIGIN_HEADER}."
        raise ProblemError(HTTPStatus.FORBIDDEN, detail)


def _check_size() -> None:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()


def _check_body(endpoint: Endpoint) -> None:
    _check_size()
    if not endpoint.takes_json:
        return
    if len(request.get_data()) > MAX_BODY_BYTES:
        raise _too_large()
    if not request.is_json:
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
    try:
        body = request.get_json()
    except BadRequest:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The body is not JSON in UTF-8 (RFC 8259).") from None
    if not isinstance(body, dict):
        raise wrong_field("body", "Input should be an object")


def _too_large() -> ProblemError:
    # Most clients read the answer only when they have sent everything; closing on them would look like a broken line.
    unread = request.environ["wsgi.input"]
    for _ in range(_DRAINED_PIECES):
        if not unread.read(_PIECE_BYTES):
            break
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BODY_BYTES} bytes.")
