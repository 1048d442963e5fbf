"""Whatever is wrong with a request is told by field, is never a 500, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from desk import Desk

from carenotify.api import guard
from carenotify.app import App, build_app
from tests.integration.ward import Hospital, SetClock, make_settings

APPOINTMENT = {"id": "a1", "patient_id": "anna", "start": "2026-11-30T10:00:00+01:00", "venue": "Cardiology"}
EVENT = {
    "event_id": "e1",
    "type": "appointment.rescheduled",
    "occurred_at": "2026-11-24T09:29:00+01:00",
    "appointment": APPOINTMENT,
}
WISH = {"type": "message", "user": "anna", "data": {"subject": "Your results", "text": "From Monday."}}
NOTHING = (0, 0, 0, 0)


@pytest.fixture(scope="module")
def app(module_database_url: str) -> Iterator[App]:
    """One database for all of them: whatever is refused here leaves nothing behind."""
    app = build_app(make_settings(module_database_url), clock=SetClock())
    Hospital(app.database).add_patient()
    yield app
    app.close()


@pytest.fixture
def anna(app: App) -> Hospital:
    return Hospital(app.database)


def stored(hospital: Hospital) -> tuple[int, ...]:
    """How many events, appointments, notifications and keys of requests there are."""
    [counts] = hospital.query(
        """
        SELECT (SELECT count(*) FROM change_events), (SELECT count(*) FROM appointments),
               (SELECT count(*) FROM notifications), (SELECT count(*) FROM idempotency_keys)
        """
    )
    return counts


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({name: None}, name) for name in EVENT),
        *(({name: 7}, name) for name in EVENT),
        *(({name: ["x"]}, name) for name in EVENT),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 201}, "event_id"),
        ({"event_id": "a\0b"}, "event_id"),
        ({"event_id": "a\u2028b"}, "event_id"),
        ({"event_id": "load:r1:a1"}, "event_id"),
        ({"type": "appointment.forgotten"}, "type"),
        ({"occurred_at": "2026-11-24T09:29:00"}, "occurred_at"),
        ({"occurred_at": "2026-11-24"}, "occurred_at"),
        ({"occurred_at": "2026-11-24T09:35:01+01:00"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"who": "me"}, "who"),
    ],
)
def test_a_bad_event_is_told_its_field_and_leaves_nothing(
    desk: Desk, anna: Hospital, changes: dict[str, Any], field: str
) -> None:
    refused(desk, anna, EVENT | changes, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({name: None}, name) for name in APPOINTMENT),
        *(({name: 7}, name) for name in APPOINTMENT),
        *(({name: {}}, name) for name in APPOINTMENT),
        *(({name: ""}, name) for name in APPOINTMENT),
        *(({name: "x" * 1000}, name) for name in APPOINTMENT),
        ({"id": "a/1"}, "id"),
        ({"id": "a1\n"}, "id"),
        ({"patient_id": "Änne"}, "patient_id"),
        ({"venue": "   "}, "venue"),
        ({"venue": "a\0b"}, "venue"),
        ({"start": "2026-11-30T10:00:00"}, "start"),
        ({"start": "2026-11-30 10:00:00+01:00"}, "start"),
        ({"start": "2026-02-30T10:00:00Z"}, "start"),
        ({"start": "2026-11-30T24:00:00Z"}, "start"),
        ({"start": "2026-11-30T10:00:00+24:00"}, "start"),
        ({"start": "٢٠٢٦-11-30T10:00:00Z"}, "start"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
        ({"end": "2026-11-30T10:00:00+01:00"}, "end"),
        ({"end": "2026-11-30T08:00:00Z"}, "end"),
        ({"end": "later"}, "end"),
        ({"status": "moved"}, "status"),
        ({"status": 1}, "status"),
        ({"room": "7"}, "room"),
    ],
)
def test_a_bad_appointment_is_told_its_field_and_leaves_nothing(
    desk: Desk, anna: Hospital, changes: dict[str, Any], field: str
) -> None:
    refused(desk, anna, EVENT | {"appointment": APPOINTMENT | changes}, f"appointment.{field}")


@pytest.mark.parametrize("name", EVENT)
def test_every_field_of_an_event_must_be_there(desk: Desk, anna: Hospital, name: str) -> None:
    refused(desk, anna, {key: value for key, value in EVENT.items() if key != name}, name)


@pytest.mark.parametrize("name", APPOINTMENT)
def test_every_field_of_an_appointment_must_be_there(desk: Desk, anna: Hospital, name: str) -> None:
    rest = {key: value for key, value in APPOINTMENT.items() if key != name}
    refused(desk, anna, EVENT | {"appointment": rest}, f"appointment.{name}")


@pytest.mark.parametrize(
    ("type_", "status"), [("appointment.cancelled", "booked"), ("appointment.rescheduled", "cancelled")]
)
def test_an_event_does_not_contradict_itself(desk: Desk, anna: Hospital, type_: str, status: str) -> None:
    refused(desk, anna, EVENT | {"type": type_, "appointment": APPOINTMENT | {"status": status}}, "appointment")


def refused(desk: Desk, hospital: Hospital, body: dict[str, Any], field: str) -> None:
    answer = desk.call("POST", "/events", json=body)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]
    assert stored(hospital) == NOTHING


@pytest.mark.parametrize("path", ["/events", "/notifications", "/fhir/Appointment"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/xml", 415),
        (b"{" + b" " * 10 * guard.MAX_BODY_BYTES + b"}", "application/json", 413),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "application/json", 422),
    ],
)
def test_what_is_no_body_is_refused(
    desk: Desk, anna: Hospital, path: str, body: bytes, content_type: str, status: int
) -> None:
    headers = {"Idempotency-Key": "k"}
    answer = desk.call("POST", path, data=body, content_type=content_type, headers=headers)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert stored(anna) == NOTHING


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "reminder"}, "type"),
        ({"type": "rescheduled"}, "type"),
        ({"type": "poem"}, "type"),
        ({"type": None}, "type"),
        ({"type": ["message"]}, "type"),
        ({"user": "nobody"}, "user"),
        ({"user": None}, "user"),
        ({"user": ""}, "user"),
        ({"user": "a b"}, "user"),
        ({"user": "x" * 65}, "user"),
        ({"user": 7}, "user"),
        ({"data": None}, "data"),
        ({"data": "text"}, "data"),
        ({"data": {}}, "data.subject"),
        ({"data": WISH["data"] | {"subject": None}}, "data.subject"),
        ({"data": WISH["data"] | {"subject": "x" * 121}}, "data.subject"),
        ({"data": WISH["data"] | {"text": ""}}, "data.text"),
        ({"data": WISH["data"] | {"text": "x" * 1001}}, "data.text"),
        ({"data": WISH["data"] | {"text": {"deep": ["Anna"]}}}, "data.text"),
        ({"data": WISH["data"] | {"name": "Anna"}}, "data.name"),
        ({"schedule_at": "2026-11-25T09:00:00"}, "schedule_at"),
        ({"schedule_at": "tomorrow"}, "schedule_at"),
        ({"schedule_at": 1764000000}, "schedule_at"),
        ({"schedule_at": "2027-12-30T09:00:00Z"}, "schedule_at"),
        ({"channels": []}, "channels"),
        ({"channels": "sms"}, "channels"),
        ({"channels": ["fax"]}, "channels.0"),
        ({"priority": "urgent"}, "priority"),
        ({"priority": 1}, "priority"),
        ({"when": "now"}, "when"),
    ],
)
def test_a_bad_wish_is_told_its_field_and_leaves_nothing(
    desk: Desk, anna: Hospital, changes: dict[str, Any], field: str
) -> None:
    answer = desk.call("POST", "/notifications", json=WISH | changes, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert field in {error["field"] for error in answer.get_json()["errors"]}
    assert "Anna" not in answer.text
    assert stored(anna) == NOTHING


@pytest.mark.parametrize("key", [None, "", "x" * 201, "a\tb", "\x85"])
def test_the_key_must_be_there_and_readable(desk: Desk, anna: Hospital, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = desk.call("POST", "/notifications", json=WISH, headers=headers)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "Idempotency-Key"
    assert stored(anna) == NOTHING


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "notification_id", ["018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f", "nothing", "%00", "%F0%9F%98%80", "x" * 3000]
)
def test_what_is_not_there_is_not_found(desk: Desk, method: str, notification_id: str) -> None:
    answer = desk.call(method, f"/notifications/{notification_id}")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "channel=fax",
        "limit=0",
        "limit=201",
        "limit=ten",
        "cursor=abc",
        "from=2026-11-24",
        "to=2026-11-24T09:00:00",
        "to=2026-11-24T09:00:00Z&to=2026-11-25T09:00:00Z",
        "patient_id=%00",
        "patient_id=a&patient_id=b",
        "since=2026-11-24T09:00:00Z",
        "page=2",
    ],
)
def test_a_bad_search_is_told_its_field(desk: Desk, query: str) -> None:
    answer = desk.call("GET", f"/notifications?{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == query.partition("=")[0]
