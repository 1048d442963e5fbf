"""The OpenAPI 3.1 document, from the views' own declarations."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify

from carenotify.api.endpoint import open_endpoint, spec
from carenotify.api.problems import MEDIA_TYPE

# Not "openapi": spectree leaves endpoints out whose names begin so.
openapi = Blueprint("document", __name__)

_PROBLEM = {
    "description": "Why not (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_PROBLEM_REF = {"$ref": "#/components/responses/Problem"}


@openapi.get("/openapi.json")
@open_endpoint(tag="health", answers={HTTPStatus.OK: None})
def get_openapi() -> Response:
    """This document."""
    return jsonify(document())


@cache
def document() -> dict[str, Any]:
    """The document. Every operation can answer with a problem, so each says so once, as its default."""
    described: dict[str, Any] = deepcopy(spec.spec)
    described["components"]["responses"] = {"Problem": _PROBLEM}
    for operations in described["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            for status in [status for status in answers if int(status) >= HTTPStatus.BAD_REQUEST]:
                answers[status] = _PROBLEM_REF
            answers["default"] = _PROBLEM_REF
    return described
