"""Structure: whoever adds a route cannot forget the guard, the scopes or the OpenAPI."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest
from desk import BASE, Desk
from flask import Flask, Response
from flask.testing import FlaskClient

from carenotify.api.endpoint import Endpoint, Signature, endpoint_of, signed_endpoint
from carenotify.domain.access import Scope

OPEN = {("GET", "/health"), ("GET", "/ready"), ("GET", "/openapi.json")}
# The page's files, which are outside /v1.
OPEN |= {("GET", "/carenotify/page"), ("GET", "/carenotify/page/"), ("GET", "/carenotify/page/x")}
SIGNED = {("POST", "/receipts/twilio"), ("POST", "/receipts/ses"), ("POST", "/inbound/twilio")}


def operations(flask: Flask) -> list[tuple[str, str, str]]:
    """Method, path with something for its parameters, and endpoint, of every rule."""
    return [
        (method, re.sub(r"<[^>]+>", "x", rule.rule), rule.endpoint)
        for rule in flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    ]


def test_without_credentials_only_the_short_list_answers(client: FlaskClient) -> None:
    found = operations(client.application)
    assert len(found) > 10
    for method, path, _ in found:
        operation = (method, path.removeprefix(BASE))
        if operation not in OPEN:
            refusal = 403 if operation in SIGNED else 401
            assert client.open(path, method=method).status_code == refusal, (method, path)


def test_a_caller_without_any_of_its_scopes_is_refused_by_every_route(desk: Desk) -> None:
    flask = desk.client.application
    for method, path, name in operations(flask):
        declared = endpoint_of(flask.view_functions[name])
        assert declared is not None, name
        if declared.any_of:
            others = set(Scope) - declared.any_of
            assert desk.call(method, path.removeprefix(BASE), scopes=others).status_code == 403, (method, path)


def test_what_is_open_says_so_and_is_on_the_list(client: FlaskClient) -> None:
    flask = client.application
    views = [(*operation[:2], endpoint_of(flask.view_functions[operation[2]])) for operation in operations(flask)]
    said = {(method, path.removeprefix(BASE)) for method, path, view in views if view and view.is_open}
    assert {each for each in said if each[0] != "OPTIONS"} == OPEN


def declared_as_signed(flask: Flask) -> dict[tuple[str, str], Endpoint]:
    views = [(*operation[:2], endpoint_of(flask.view_functions[operation[2]])) for operation in operations(flask)]
    return {
        (method, path.removeprefix(BASE)): view for method, path, view in views if view is not None and view.signature
    }


def test_what_is_signed_is_on_the_list_and_neither_open_nor_for_callers(client: FlaskClient) -> None:
    found = declared_as_signed(client.application)
    assert set(found) == SIGNED
    assert not [view for view in found.values() if view.is_open or view.any_of]


@pytest.mark.parametrize("path", sorted(path for _, path in SIGNED))
def test_no_key_opens_what_has_to_be_signed(desk: Desk, path: str) -> None:
    answer = desk.call("POST", path, data={"MessageSid": "SM1"})
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert answer.get_json()["detail"] == "This is open only to those who sign what they send."


def test_a_signed_view_is_not_called_before_its_signature_fits(desk: Desk) -> None:
    called = []
    fits = False

    @signed_endpoint(Signature(lambda: fits), tag="tests", answers={HTTPStatus.NO_CONTENT: None})
    def take() -> Response:
        called.append(True)
        return Response(status=HTTPStatus.NO_CONTENT)

    desk.client.application.add_url_rule(f"{BASE}/signed", "take", take, methods=["POST"])
    assert desk.call("POST", "/signed").status_code == 403
    assert not called
    fits = True
    assert desk.client.post(f"{BASE}/signed").status_code == 204
    assert called


def test_a_view_that_was_not_declared_answers_nobody(desk: Desk) -> None:
    desk.client.application.add_url_rule(f"{BASE}/forgotten", "forgotten", lambda: "patients")
    assert desk.call("GET", "/forgotten").status_code == 403


def test_every_route_is_in_the_openapi_with_its_scopes(client: FlaskClient) -> None:
    flask = client.application
    document = client.get(f"{BASE}/openapi.json").get_json()
    for rule in flask.url_map.iter_rules():
        path = document["paths"][re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)]
        declared = endpoint_of(flask.view_functions[rule.endpoint])
        assert declared is not None
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            security = path[method.lower()].get("security")
            assert security == ([declared.security] if declared.security else None)
            assert bool(security) or declared.is_open or declared.signature


def test_operations_have_ids_of_their_own(client: FlaskClient) -> None:
    paths = client.get(f"{BASE}/openapi.json").get_json()["paths"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/", "/carenotify", "/v1/health", "/carenotify/v1"])
def test_nothing_is_served_outside_the_prefix(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
