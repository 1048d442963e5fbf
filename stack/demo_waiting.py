"""Appointments that move while their reminders wait: nobody may be told the old time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any

from stack.carenotify_api import CarenotifyApi
from stack.demo_changes import booked_on, change, note_in_books

MOVED = 5
_WAITING = {"pending", "queued"}


@dataclass(frozen=True)
class Moved:
    """The reminders of the old times, which must reach nobody, and the messages of the new ones."""

    events: int = 0
    old_ids: set[str] = field(default_factory=set)
    new_ids: set[str] = field(default_factory=set)


def waiting_reminders(report: Mapping[str, Any], *, day: date) -> dict[str, set[str]]:
    """By patient, the reminders of that day's appointments, where none of them has been begun."""
    by_patient: dict[str, dict[str, str]] = {}
    for id_, told in report["notification_ids"].items():
        if told["appointment_day"] == day.isoformat():
            by_patient.setdefault(told["patient_id"], {})[id_] = told["status"]
    return {patient: set(ids) for patient, ids in by_patient.items() if set(ids.values()) <= _WAITING}


def move_waiting(settings: Mapping[str, str], day: date, waiting: Mapping[str, set[str]], *, run: str) -> Moved:
    """Move some of those appointments by a day, in the hospital's books and by event. Call while sending is paused."""
    api = CarenotifyApi(settings)
    known = (booked for booked in booked_on(settings, day) if booked.patient_id in waiting)
    chosen = list(islice(known, MOVED))
    moved = Moved(len(chosen))
    for number, booked in enumerate(chosen):
        event, in_books = change("rescheduled", booked, booked.place, event_id=f"demo-{run}-waiting-{number}")
        note_in_books(settings, booked, in_books)
        moved.new_ids.update(api.post_event(event)["notification_ids"])
        moved.old_ids.update(waiting[booked.patient_id])
    return moved
