"""The demo is judged by the hospital's own word, not by our database's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stack.demo_changes import KINDS, Booked, Place, _booked, change
from stack.demo_truth import Truth, compare, reached

TRUTH = Truth.from_answers(
    [
        {
            "day": "2026-11-27",
            "told": ["anna", "berta"],
            "with_two_addresses": ["berta"],
            "reachable": ["anna"],
            "skipped": {"gone": "deceased"},
        },
        {"day": "2026-11-26", "told": ["anna"], "with_two_addresses": [], "reachable": ["anna"], "skipped": {}},
    ]
)


def report(*told: tuple[str, str, str, str]) -> dict[str, Any]:
    names = ("patient_id", "appointment_day", "status")
    return {"notification_ids": {id_: dict(zip(names, rest, strict=True)) for id_, *rest in told}}


ALL = (("1", "anna", "2026-11-27", "sent"), ("2", "berta", "2026-11-27", "sent"), ("3", "anna", "2026-11-26", "sent"))


def found(*told: tuple[str, str, str, str], received: set[str], before: set[str] | None = None) -> list[int]:
    return list(compare(TRUTH, report=report(*told), received=received, before=before or set()).values())


def test_everybody_who_was_expected_to_be_told_has_a_message() -> None:
    assert found(*ALL, received={"1", "2", "3"}) == [3, 0, 0, 0]


def test_what_we_say_was_sent_and_no_receiver_has_is_missing() -> None:
    assert found(*ALL, received={"1", "3"}) == [3, 0, 1, 0]


def test_who_was_never_planned_is_missing() -> None:
    assert found(ALL[0], ALL[2], received={"1", "3"}) == [3, 0, 1, 0]


@pytest.mark.parametrize("status", ["failed", "suppressed"])
def test_a_number_that_refuses_is_told_apart(status: str) -> None:
    assert found(ALL[0], ("2", "berta", "2026-11-27", status), ALL[2], received={"1", "3"}) == [3, 1, 0, 0]


def test_a_message_to_somebody_who_should_have_none_is_counted_unless_it_is_of_an_earlier_demo() -> None:
    wrong = ("4", "gone", "2026-11-27", "sent")
    assert found(*ALL, wrong, received={"1", "2", "3", "4"}) == [3, 0, 0, 1]
    assert found(*ALL, wrong, received={"1", "2", "3", "4"}, before={"4"}) == [3, 0, 0, 0]


def test_who_was_told_by_an_earlier_demo_and_moved_since_is_not_missing() -> None:
    moved = ("2", "berta", "2026-11-28", "sent")
    assert found(ALL[0], moved, ALL[2], received={"1", "2", "3"}) == [3, 0, 1, 0]
    assert found(ALL[0], moved, ALL[2], received={"1", "2", "3"}, before={"2"}) == [3, 0, 0, 0]


def test_reached_is_what_arrived_at_a_person_whatever_a_provider_took() -> None:
    assert list(reached(TRUTH, report=report(*ALL), arrived={"1", "2", "3"}, before=set()).values()) == [3, 2, 2, 1, 1]
    assert list(reached(TRUTH, report=report(*ALL), arrived={"1", "3"}, before=set()).values()) == [2, 2, 2, 1, 0]


def test_whoever_was_told_by_an_earlier_demo_need_not_be_reached_on_the_day_that_it_moved_to() -> None:
    moved = ("1", "anna", "2026-11-28", "sent")
    assert list(reached(TRUTH, report=report(moved), arrived={"1"}, before=set()).values())[1:3] == [2, 0]
    assert list(reached(TRUTH, report=report(moved), arrived={"1"}, before={"1"}).values())[1:3] == [0, 0]


START = datetime(2026, 11, 27, 9, tzinfo=UTC)
BOOKED = Booked("apt-1", "pat-1", START, START + timedelta(minutes=20), Place("loc-01", "Cardiology"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_and_the_hospitals_books_say_the_same(kind: str) -> None:
    event, in_books = change(kind, BOOKED, Place("loc-02", "Radiology"), event_id="e1")
    told = event["appointment"]
    assert (event["event_id"], event["type"]) == ("e1", f"appointment.{kind}")
    assert told["start"] == in_books.get("start", told["start"])
    assert {"rescheduled": {"start", "end"}, "venue_changed": {"location"}, "cancelled": {"status"}}.get(
        kind, set()
    ) == in_books.keys()
    assert (told["id"] == "apt-1") is (kind != "booked")
    assert (told["venue"] == "Radiology") is (kind == "venue_changed")


def test_only_plain_booked_appointments_are_changed() -> None:
    good = {
        "id": "apt-1",
        "status": "booked",
        "start": START.isoformat(),
        "end": (START + timedelta(minutes=20)).isoformat(),
        "participant": [
            {"actor": {"reference": "Patient/pat-1"}},
            {"type": []},
            {"actor": {"reference": "Location/loc-01", "display": "Cardiology"}},
        ],
    }
    bad = [good | {"status": "cancelled"}, good | {"start": "soon"}, good | {"participant": []}]
    assert list(_booked([*bad, good, good])) == [BOOKED]
