"""The OpenAPI, taken at its word by a fuzzer: no request makes a 500, and every answer is what is declared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from desk import BASE, Desk
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.domain.access import ALL_SCOPES
from tests.integration.ward import Hospital, SetClock, make_settings

OPERATIONS = [
    ("POST", "/events"),
    ("POST", "/fhir/Appointment"),
    ("PUT", "/fhir/Appointment/{id}"),
    ("POST", "/notifications"),
    ("GET", "/notifications"),
    ("GET", "/notifications/{id}"),
    ("DELETE", "/notifications/{id}"),
    ("GET", "/dead-letters"),
    ("GET", "/dead-letters/{id}"),
    ("POST", "/dead-letters/{id}/replay"),
    ("DELETE", "/dead-letters/{id}"),
    ("POST", "/dead-letters/replay"),
    ("POST", "/notifications/preview"),
    ("GET", "/overview"),
    ("GET", "/alerts"),
]


@pytest.fixture(scope="module")
def fuzzed(module_database_url: str) -> Iterator[App]:
    limits = {f"CARENOTIFY_API_REQUESTS_PER_MINUTE_PER_{whose}": "1000000" for whose in ("KEY", "ADDRESS")}
    app = build_app(make_settings(module_database_url, **limits), clock=SetClock())
    Hospital(app.database).add_patient()
    yield app
    app.close()


@pytest.fixture(scope="module")
def served(fuzzed: App) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_wsgi(f"{BASE}/openapi.json", create_app(fuzzed, person=None))


@pytest.fixture(scope="module")
def key(fuzzed: App) -> str:
    return Desk(fuzzed, create_app(fuzzed, person=None).test_client()).key(*ALL_SCOPES)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_is_sent_is_answered_as_declared(
    served: schemathesis.BaseSchema, key: str, method: str, path: str, mode: GenerationMode
) -> None:
    """Once with what the document allows, once with what it forbids."""

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=served[BASE + path][method].as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {key}"})
        case.validate_response(answer, checks=[not_a_server_error, content_type_conformance, status_code_conformance])

    send()
