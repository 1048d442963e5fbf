"""The demo's change events: moved, elsewhere, cancelled and booked, posted as the hospital's own system would."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPException
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote

from stack.carenotify_api import CarenotifyApi, Json, post_json
from stack.errors import StackError
from stack.loopback import open_local

CHANGES = 100
KINDS = ("rescheduled", "venue_changed", "cancelled", "booked")
_TRIES = 30  # the patient API fails on purpose
# A booking inside the days that loads copy would be asked for at the hospital, which does not have it.
_BEYOND_LOADS = timedelta(days=400)


@dataclass(frozen=True)
class Place:
    """A location of the hospital."""

    id: str
    name: str


@dataclass(frozen=True)
class Booked:
    """One booked appointment, as the patient API gives it."""

    id: str
    patient_id: str
    start: datetime
    end: datetime
    place: Place


@dataclass(frozen=True)
class Posted:
    """What came of the posted changes: how many were accepted, and the notifications that tell of them."""

    events: int
    notification_ids: set[str]
    answer_p95_ms: float


@dataclass(frozen=True)
class Changes:
    """Changes of one day's appointments, for patients whose reminders came; `run` makes the events' ids unique."""

    settings: Mapping[str, str]
    day: date
    patients: AbstractSet[str]
    run: str

    def post(self) -> Posted:
        """Post up to CHANGES events of all kinds; every other one is in the hospital's own books before."""
        api = CarenotifyApi(self.settings)
        known = [booked for booked in booked_on(self.settings, self.day) if booked.patient_id in self.patients]
        places = sorted({booked.place for booked in known}, key=lambda place: place.id)
        posted, ids, spent = 0, set[str](), []
        for number, (booked, kind) in enumerate(zip(islice(known, CHANGES), cycle(KINDS))):
            place = next((other for other in places if other != booked.place), booked.place)
            event, in_books = change(kind, booked, place, event_id=f"demo-{self.run}-{number}")
            if in_books and number // len(KINDS) % 2 == 0:
                note_in_books(self.settings, booked, in_books)
            began = time.monotonic()
            ids.update(api.post_event(event)["notification_ids"])
            spent.append(time.monotonic() - began)
            posted += 1
        return Posted(posted, ids, round(sorted(spent)[int(0.95 * posted)] * 1000, 1) if spent else 0.0)


def booked_on(settings: Mapping[str, str], day: date) -> Iterator[Booked]:
    """The day's appointments from the patient API that are plainly booked, one for each patient."""
    return _booked(_resources(settings, day))


def note_in_books(settings: Mapping[str, str], booked: Booked, in_books: Json) -> None:
    """Change an appointment at the hospital itself."""
    post_json(f"{settings['CARENOTIFY_SANDBOX_URL']}/hospital/appointments/{booked.id}", in_books)


def _resources(settings: Mapping[str, str], day: date) -> Iterator[Json]:
    until = day + timedelta(days=1)
    url = f"{settings['CARENOTIFY_PATIENT_API_URL']}/Appointment?date=ge{day}&date=lt{until}&_count=100"
    while url:
        page = _page(url)
        yield from (entry["resource"] for entry in page.get("entry", ()))
        url = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), "")


def change(kind: str, booked: Booked, elsewhere: Place, *, event_id: str) -> tuple[Json, Json]:
    """The event of one change, and what to change in the hospital's own books, which take no bookings."""
    id_, start, end, place, in_books = booked.id, booked.start, booked.end, booked.place, Json()
    if kind == "rescheduled":
        start, end = start + timedelta(days=1), end + timedelta(days=1)
        in_books = {"start": start.isoformat(), "end": end.isoformat()}
    elif kind == "venue_changed":
        place, in_books = elsewhere, {"location": elsewhere.id}
    elif kind == "cancelled":
        in_books = {"status": "cancelled"}
    else:
        id_, start, end = f"{event_id}-new", start + _BEYOND_LOADS, end + _BEYOND_LOADS
    told = {"id": id_, "patient_id": booked.patient_id, "start": start.isoformat(), "end": end.isoformat()}
    occurred_at = datetime.now(UTC).isoformat()
    told["venue"] = place.name
    event = {"event_id": event_id, "type": f"appointment.{kind}", "occurred_at": occurred_at, "appointment": told}
    return event, in_books


def _page(url: str) -> Json:
    for _ in range(_TRIES):
        try:
            with open_local(url, timeout_seconds=5) as answer:
                found = json.load(answer)
        except (OSError, HTTPException, ValueError):
            continue
        if isinstance(found, dict) and found.get("resourceType") == "Bundle":
            return found
    raise StackError(f"The patient API failed {_TRIES} times in a row: {quote(url, safe=':/?&=')}")


def _booked(resources: Iterable[Json]) -> Iterator[Booked]:
    """Booked ones whose patient, time and place are plain to see, one for each patient."""
    seen: set[str] = set()
    for resource in resources:
        actors = [participant["actor"] for participant in resource.get("participant", ()) if "actor" in participant]
        patients = [actor["reference"].split("/")[1] for actor in actors if _is(actor, "Patient")]
        places = [
            Place(actor["reference"].split("/")[1], actor["display"])
            for actor in actors
            if _is(actor, "Location") and "display" in actor
        ]
        if resource.get("status") != "booked" or len(patients) != 1 or len(places) != 1 or patients[0] in seen:
            continue
        try:
            start, end = datetime.fromisoformat(resource["start"]), datetime.fromisoformat(resource["end"])
        except (KeyError, ValueError):
            continue
        if start.tzinfo is not None and end > start:
            seen.add(patients[0])
            yield Booked(resource["id"], patients[0], start, end, places[0])


def _is(actor: Mapping[str, Any], kind: str) -> bool:
    return str(actor.get("reference", "")).startswith(f"{kind}/")
