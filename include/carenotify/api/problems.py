"""Errors as RFC 9457 problem details. They name fields and say what is wrong, and never repeat a value."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from flask import Flask, Response, g
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from carenotify.errors import (
    BrokerError,
    CarenotifyError,
    DatabaseUnavailableError,
    EventConflictError,
    NotFoundError,
    SignatureUncheckedError,
    TooBusyError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_LONGEST_FIELD = 100
_FAILED = "request %s failed with %s\n%s"
_TRY_AGAIN = {"Retry-After": "2"}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457, with the fields that are wrong and the id under which the request is found in the logs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    correlation_id: str
    errors: list[FieldProblem] | None = None


class ProblemError(CarenotifyError):
    """A request is answered with this problem. The detail is for the caller to read, and holds no personal data."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


_OURS: dict[type[CarenotifyError], tuple[HTTPStatus, str, Mapping[str, str]]] = {
    NotFoundError: (HTTPStatus.NOT_FOUND, "There is nothing with that id.", {}),
    EventConflictError: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "This event_id, or this Idempotency-Key, came before with another body. Nothing was changed.",
        {},
    ),
    DatabaseUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "The database cannot be used just now.", _TRY_AGAIN),
    BrokerError: (HTTPStatus.SERVICE_UNAVAILABLE, "The broker cannot be used just now.", _TRY_AGAIN),
    TooBusyError: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many reports or lists are being worked out just now; ask again in a few seconds.",
        _TRY_AGAIN,
    ),
    SignatureUncheckedError: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "What is signed cannot be checked just now; send it again.",
        {"Retry-After": "10"},
    ),
}


def install(flask: Flask) -> None:
    """Let every error of the app, foreseen or not, end as a problem."""
    flask.register_error_handler(ProblemError, _answer)
    flask.register_error_handler(CarenotifyError, _ours)
    flask.register_error_handler(HTTPException, _of_http)
    flask.register_error_handler(Exception, _unforeseen)
    flask.logger.addFilter(_leave_out_what_errors_say)


def invalid(error: ValidationError, *, within: str | None = None) -> ProblemError:
    """422 with each field that pydantic found wrong, of the whole request or of one of its fields."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    outer = () if within is None else (within,)
    wrong = [_field({**each, "loc": (*outer, *each["loc"])}) for each in found]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "Some fields are missing or wrong.", errors=wrong)


def wrong_field(name: str, message: str) -> ProblemError:
    """422 for one field, found wrong by something that its model cannot know."""
    wrong = [FieldProblem(field=name, message=message)]
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "Some fields are missing or wrong.", errors=wrong)


def _field(error: ErrorDetails) -> FieldProblem:
    name = ".".join(str(part) for part in error["loc"])[:_LONGEST_FIELD] or "body"
    # These two messages of pydantic's repeat what was sent.
    message = "is not one of the known kinds" if error["type"].startswith("union_tag") else error["msg"]
    return FieldProblem(field=name, message=message.removeprefix("Value error, "))


def _answer(error: ProblemError) -> Response:
    problem = Problem(
        title=error.status.phrase,
        status=error.status,
        detail=error.detail,
        correlation_id=g.get("correlation_id", ""),
        errors=error.errors or None,
    )
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status=error.status, content_type=MEDIA_TYPE, headers=error.headers)


def _ours(error: CarenotifyError) -> Response:
    for kind, (status, detail, headers) in _OURS.items():
        if isinstance(error, kind):
            return _answer(ProblemError(status, detail, headers=headers))
    return _unforeseen(error)


def _of_http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return _answer(ProblemError(status, status.description or status.phrase, headers=headers))


def _leave_out_what_errors_say(line: logging.LogRecord) -> bool:
    """What fails on an answer's way Flask logs itself, with the path, which a caller may have filled with a name."""
    if line.exc_info and line.exc_info[1]:
        line.msg, line.args = _FAILED, _what_failed(line.exc_info[1])
        line.exc_info = None
    return True


def _what_failed(error: BaseException) -> tuple[object, ...]:
    """Where it happened and what kind it was; an error's text can hold what a patient's row held."""
    return g.get("correlation_id"), type(error).__name__, "".join(traceback.format_tb(error.__traceback__))


def _unforeseen(error: Exception) -> Response:
    log.error(_FAILED, *_what_failed(error))
    detail = "Something went wrong on our side; the correlation id finds it in the logs."
    return _answer(ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail))
