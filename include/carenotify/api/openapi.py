"""The OpenAPI 3.1 document, from the views' own declarations."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from carenotify.api.endpoint import Endpoint, endpoint_of, open_endpoint, spec
from carenotify.api.problems import MEDIA_TYPE

# Not "openapi": spectree leaves endpoints out whose names begin so.
openapi = Blueprint("document", __name__)

_PROBLEM = {
    "description": "Why not (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
# Amazon SNS calls its JSON plain text, unless a subscription's delivery policy names another type.
_TYPES_OF_JSON = ("text/plain", "application/json")
_PROBLEM_REF = {"$ref": "#/components/responses/Problem"}


@openapi.get("/openapi.json")
@open_endpoint(tag="health", answers={HTTPStatus.OK: None})
def get_openapi() -> Response:
    """This document."""
    return jsonify(document())


@cache
def document() -> dict[str, Any]:
    """The document. Every operation can answer with a problem, so each says so once, as its default."""
    declared = {view.__name__: endpoint_of(view) for view in current_app.view_functions.values()}
    described: dict[str, Any] = deepcopy(spec.spec)
    described["components"]["responses"] = {"Problem": _PROBLEM}
    for operations in described["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            for status in [status for status in answers if int(status) >= HTTPStatus.BAD_REQUEST]:
                answers[status] = _PROBLEM_REF
            answers["default"] = _PROBLEM_REF
            _say_what_is_taken(operation, declared[operation["operationId"]], described["components"]["schemas"])
    return described


def _say_what_is_taken(operation: dict[str, Any], endpoint: Endpoint | None, schemas: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {})
    if form := content.pop("multipart/form-data", None):  # spectree says so of every form
        content["application/x-www-form-urlencoded"] = form
    if endpoint is not None and (body := endpoint.signed_body):
        schemas[body.__name__] = body.model_json_schema()
        reference = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(_TYPES_OF_JSON, reference)}
