from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue

START = datetime(2026, 11, 27, 10, 30, tzinfo=UTC)
APPOINTMENT = Appointment("a1", "anna", START, None, Venue("Cardiology", "loc-1"), AppointmentStatus.BOOKED)


@pytest.mark.parametrize("times", [{"start": START.replace(tzinfo=None)}, {"end": START.replace(tzinfo=None)}])
def test_a_time_without_an_offset_is_refused_by_the_appointments_id(times: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="appointment a1: a time without an offset"):
        replace(APPOINTMENT, **times)


@pytest.mark.parametrize(
    "change",
    [
        {"patient_id": "berta"},
        {"start": START + timedelta(minutes=1)},
        {"venue": Venue("Cardiology", "loc-2")},
        {"status": AppointmentStatus.CANCELLED},
    ],
)
def test_whatever_a_patient_is_told_changes_the_hash(change: dict[str, Any]) -> None:
    assert replace(APPOINTMENT, **change).content_hash != APPOINTMENT.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a2"},
        {"end": START + timedelta(hours=1)},
        {"start": START.astimezone(ZoneInfo("Asia/Kolkata"))},
        {"venue": Venue("Heart Centre (renamed)", "loc-1")},
    ],
)
def test_what_a_patient_is_not_told_does_not(change: dict[str, Any]) -> None:
    assert replace(APPOINTMENT, **change).content_hash == APPOINTMENT.content_hash


def test_a_venue_without_an_id_is_compared_by_its_name() -> None:
    assert Venue("Cardiology").key != Venue("Radiology").key
    assert Venue("Cardiology").key == Venue("Cardiology").key


def test_words_that_touch_are_not_taken_for_one_another() -> None:
    first = replace(APPOINTMENT, venue=Venue("x", "1"), patient_id="p12")
    second = replace(APPOINTMENT, venue=Venue("x", "21"), patient_id="p1")
    assert first.content_hash != second.content_hash
