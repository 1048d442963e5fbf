"""FHIR rest-hooks: what differs from what is known is told, once, however the server repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.domain.access import Scope
from tests.integration.ward import NOON, Hospital

START = (NOON + timedelta(days=3, hours=2)).isoformat()
MOVED = "2026-11-30T10:00:00+01:00"


def resource(*, venue: str | None = "Cardiology", location: str | None = None, **changes: Any) -> dict[str, Any]:
    place = {"reference": f"Location/{location}"} if location else {"reference": "Location/loc-1"}
    if venue:
        place["display"] = venue
    whole = {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {"versionId": "2", "lastUpdated": "2026-11-24T08:29:00Z"},
        "status": "booked",
        "start": MOVED,
        "end": "2026-11-30T10:30:00+01:00",
        "comment": "not ours to read",
        "participant": [{"actor": {"reference": "Patient/anna"}}, {"actor": place}],
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


@pytest.fixture
def hook(desk: Desk) -> Callable[..., Any]:
    key = desk.key(Scope.EVENTS_WRITE)

    def send(body: dict[str, Any], path: str = "", method: str = "POST") -> Any:
        return desk.call_with(
            key, method, f"/fhir/Appointment{path}", json=body, headers={"Content-Type": "application/fhir+json"}
        )

    return send


@pytest.fixture
def known(hospital: Hospital) -> Hospital:
    """Anna's appointment, as a load brought it."""
    hospital.add_patient()
    hospital.add_appointment()
    return hospital


def kinds(hospital: Hospital) -> set[str]:
    return {row[0] for row in hospital.query("SELECT kind FROM notifications")}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "rescheduled"),
        ({"start": START, "venue": "Radiology"}, "venue_changed"),
        ({"status": "cancelled", "start": START}, "cancelled"),
        ({"status": "cancelled", "start": None, "end": None}, "cancelled"),
        ({"id": "new"}, "booked"),
    ],
)
def test_what_differs_is_told(hook: Callable[..., Any], known: Hospital, changes: dict[str, Any], kind: str) -> None:
    answer = hook(resource(**changes))
    assert answer.status_code == 202
    assert answer.get_json()["outcome"] == "notified"
    assert kinds(known) == {kind}


def test_a_hook_for_what_is_known_tells_nobody(hook: Callable[..., Any], known: Hospital) -> None:
    answer = hook(resource(start=START, end=None))
    assert answer.get_json() == {"event_id": "fhir:a1:2", "notification_ids": [], "outcome": "already_known"}
    assert kinds(known) == set()


def test_an_arrival_stops_what_is_pending_and_tells_nobody(hook: Callable[..., Any], known: Hospital) -> None:
    answer = hook(resource(start=START, status="arrived"))
    assert (answer.status_code, answer.get_json()["outcome"]) == (202, "not_told")
    assert kinds(known) == set()


def test_the_same_version_again_gets_the_same_answer(hook: Callable[..., Any], known: Hospital) -> None:
    first = hook(resource()).get_json()
    assert hook(resource(), "/a1", "PUT").get_json() == first
    assert known.query("SELECT count(*) FROM notifications") == [(len(first["notification_ids"]),)]


def test_a_server_without_versions_may_repeat_itself_and_take_a_change_back(
    hook: Callable[..., Any], known: Hospital
) -> None:
    first = hook(resource(meta=None)).get_json()
    again = hook(resource(meta=None)).get_json()
    assert (again["outcome"], again["notification_ids"]) == ("already_known", first["notification_ids"])
    assert hook(resource(meta=None, start=START)).get_json()["outcome"] == "notified"
    assert hook(resource(meta=None)).get_json()["outcome"] == "notified"
    assert known.query("SELECT start_at::text FROM appointments") == [("2026-11-30 09:00:00+00",)]


def test_an_older_version_that_comes_late_changes_nothing(hook: Callable[..., Any], known: Hospital) -> None:
    hook(resource(meta={"versionId": "3", "lastUpdated": "2026-11-24T08:29:00Z"}))
    late = hook(resource(start=START, meta={"versionId": "2", "lastUpdated": "2026-11-24T08:28:00Z"}))
    assert late.get_json()["outcome"] == "ignored_stale"
    assert known.query("SELECT start_at::text FROM appointments") == [("2026-11-30 09:00:00+00",)]


def test_a_location_without_its_name_keeps_the_known_one(hook: Callable[..., Any], known: Hospital) -> None:
    known.query("UPDATE appointments SET location_id = 'loc-1' RETURNING id")
    assert hook(resource(venue=None)).status_code == 202
    assert kinds(known) == {"rescheduled"}
    assert known.query("SELECT venue, location_id FROM appointments") == [("Cardiology", "loc-1")]


def test_a_location_without_its_name_is_called_what_loads_call_it(hook: Callable[..., Any], known: Hospital) -> None:
    known.add_appointment("b1", "bert", venue="Old ward")
    known.add_appointment("b2", "bert", venue="Heart Centre")
    known.query("UPDATE appointments SET location_id = 'loc-9' WHERE patient_id = 'bert' RETURNING id")
    known.query("UPDATE appointments SET fetched_at = now() + interval '1 hour' WHERE id = 'b2' RETURNING id")
    assert hook(resource(venue=None, location="loc-9", start=START)).get_json()["outcome"] == "notified"
    assert kinds(known) == {"venue_changed"}
    assert known.query("SELECT venue, location_id FROM appointments WHERE id = 'a1'") == [("Heart Centre", "loc-9")]


def test_a_cancellation_needs_no_name_of_its_location(hook: Callable[..., Any], known: Hospital) -> None:
    assert hook(resource(venue=None, location="loc-77", status="cancelled")).get_json()["outcome"] == "notified"
    assert kinds(known) == {"cancelled"}
    assert known.query("SELECT venue FROM appointments") == [("Cardiology",)]


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"resourceType": "Patient"}, "resourceType"),
        ({"resourceType": None}, "resourceType"),
        ({"resourceType": 7}, "resourceType"),
        ({"id": None}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": {"value": "a1"}}, "id"),
        ({"status": None}, "status"),
        ({"status": "moved"}, "status"),
        ({"status": ["booked"]}, "status"),
        ({"id": "new", "start": None}, "start"),
        ({"start": "2026-11-30T10:00:00"}, "start"),
        ({"start": "2026-02-30T10:00:00Z"}, "start"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
        ({"start": "9999-12-31T23:59:59-14:00"}, "start"),
        ({"end": "soon"}, "end"),
        ({"participant": None}, "participant.actor"),
        ({"participant": "Patient/anna"}, "participant.actor"),
        ({"participant": [{"actor": {"reference": "Patient/a b"}}]}, "participant.actor"),
        ({"id": "new", "participant": [{"actor": {"reference": "Patient/anna"}}]}, "participant.actor"),
        ({"venue": None, "location": "loc-77"}, "participant.actor.display"),
        ({"id": "new", "venue": None, "location": "loc-77", "status": "cancelled"}, "participant.actor"),
        ({"meta": {"lastUpdated": "2026-11-24"}}, "meta.lastUpdated"),
        ({"meta": {"lastUpdated": "2026-11-24T09:00:00Z"}}, "meta.lastUpdated"),
        ({"meta": {"lastUpdated": "9999-12-31T23:59:59-14:00"}}, "meta.lastUpdated"),
        ({"meta": {"versionId": "x" * 65}}, "meta.versionId"),
    ],
)
def test_a_bad_resource_is_told_its_element_and_leaves_nothing(
    hook: Callable[..., Any], known: Hospital, changes: dict[str, Any], element: str
) -> None:
    before = known.query("SELECT id, start_at, updated_at FROM appointments")
    answer = hook(resource(**changes))
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [error["field"] for error in answer.get_json()["errors"]] == [element]
    assert known.query("SELECT count(*) FROM change_events") == [(0,)]
    assert known.query("SELECT id, start_at, updated_at FROM appointments") == before


def test_the_id_in_the_url_is_the_resources(hook: Callable[..., Any], known: Hospital) -> None:
    answer = hook(resource(), "/a2", "PUT")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "id")
    assert known.query("SELECT count(*) FROM change_events") == [(0,)]
