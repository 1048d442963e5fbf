"""Structure: whoever adds a route cannot forget the guard, the scopes or the OpenAPI."""

from __future__ import annotations

import re

import pytest
from desk import BASE, Desk
from flask import Flask
from flask.testing import FlaskClient

from carenotify.api.endpoint import endpoint_of
from carenotify.domain.access import Scope

OPEN = {("GET", "/health"), ("GET", "/ready"), ("GET", "/openapi.json")}


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
        if (method if method != "OPTIONS" else "GET", path.removeprefix(BASE)) not in OPEN:
            assert client.open(path, method=method).status_code == 401, (method, path)


def test_a_caller_without_any_of_its_scopes_is_refused_by_every_route(desk: Desk) -> None:
    flask = desk.client.application
    for method, path, name in operations(flask):
        declared = endpoint_of(flask.view_functions[name])
        assert declared is not None, name
        if not declared.is_open:
            others = set(Scope) - declared.any_of
            assert desk.call(method, path.removeprefix(BASE), scopes=others).status_code == 403, (method, path)


def test_what_is_open_says_so_and_is_on_the_list(client: FlaskClient) -> None:
    flask = client.application
    views = [(*operation[:2], endpoint_of(flask.view_functions[operation[2]])) for operation in operations(flask)]
    said = {(method, path.removeprefix(BASE)) for method, path, view in views if view and view.is_open}
    assert {each for each in said if each[0] != "OPTIONS"} == OPEN


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
            assert security == (None if declared.is_open else [{"bearer": sorted(declared.any_of)}])


def test_operations_have_ids_of_their_own(client: FlaskClient) -> None:
    paths = client.get(f"{BASE}/openapi.json").get_json()["paths"]
    ids = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/", "/carenotify", "/v1/health", "/carenotify/v1"])
def test_nothing_is_served_outside_the_prefix(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
