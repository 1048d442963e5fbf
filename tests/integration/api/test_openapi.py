"""What the document says of requests and answers is what the server does."""

from __future__ import annotations

from typing import Any

import pytest
from desk import BASE
from flask.testing import FlaskClient

from carenotify.domain.dead_letter import Resolution
from carenotify.domain.fallback import TOLD_OTHERWISE

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    described: dict[str, Any] = client.get(f"{BASE}/openapi.json").get_json()
    return described


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][BASE + path][method]
    return found


@pytest.mark.parametrize("path", ["/receipts/twilio", "/inbound/twilio"])
def test_twilios_forms_are_the_only_kind_that_is_taken(document: dict[str, Any], path: str) -> None:
    assert list(operation(document, "post", path)["requestBody"]["content"]) == [FORM]


def test_no_route_takes_a_kind_of_form_that_is_refused(document: dict[str, Any]) -> None:
    assert "multipart/form-data" not in str(document)


def test_amazons_message_is_described_with_its_signature(document: dict[str, Any]) -> None:
    body = operation(document, "post", "/receipts/ses")["requestBody"]
    assert body["required"]
    assert set(body["content"]) == {"text/plain", "application/json"}
    for content in body["content"].values():
        schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
        assert {"Type", "TopicArn", "Signature", "SignatureVersion", "SigningCertURL"} <= set(schema["required"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", "/dead-letters/{id}/replay"), ("delete", "/dead-letters/{id}"), ("delete", "/notifications/{id}")],
)
def test_what_can_come_too_late_says_so(document: dict[str, Any], method: str, path: str) -> None:
    assert operation(document, method, path)["responses"]["409"] == {"$ref": "#/components/responses/Problem"}


def test_every_way_that_a_dead_letter_ends_is_named(document: dict[str, Any]) -> None:
    said = document["components"]["schemas"]["Letter"]["description"]
    ends = {Resolution.REPLAYED, Resolution.DISCARDED, "fallback", TOLD_OTHERWISE}
    assert not [end for end in ends if f"`{end}`" not in said]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(part: Any) -> set[str]:
    if isinstance(part, list):
        return set().union(*(references(each) for each in part))
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own.union(*(references(each) for each in part.values()))
