"""A hospital's day as it may look at half past ten, with something of everything: what the page's tests are shown.

Patients, appointments, reminders and changes are made by the journeys that make them in earnest; what became of them is
dealt out here, in one statement a table. All names are made up, and two of them are programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import cycle

from carenotify.app import App
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.kinds import MESSAGE, MessageData
from carenotify.domain.notification import Channel
from carenotify.domain.patient import ContactPoint, Patient
from carenotify.domain.window import local_day
from carenotify.journeys.plan_reminders import ReminderPlanner
from carenotify.journeys.request_notification import Wish
from carenotify.storage.database import Transaction
from carenotify.storage.patients import LoadedPatient, upsert_patients
from tests.integration.page.believable_fates import play_fates
from tests.integration.page.believable_past import play_past
from tests.integration.page.believable_troubles import play_troubles

HOSTILE_NAME = "<img src=x onerror=\"document.title='hacked'\">"
HOSTILE_VENUE = "<script>document.title='hacked'</script>Ward 3"
_NAMES = ("Ada", "Bruno", "Clara", "Derya", "Emil", "Fatma", "Gustav", "Hanna", "Ivo", "Jale", "Kurt", "Lena")
_VENUES = ("Cardiology, 2nd floor", "Orthopaedics, room 114", "Eye clinic", "Radiology, house B", "Day surgery")
_TURKISH = frozenset({"Derya", "Fatma", "Jale"})


@dataclass(frozen=True, slots=True)
class BelievableDay:
    """Where the tests find what they look for. `now` is the clock's."""

    day: date
    now: datetime
    hostile_patient: str = "pat-0007"
    silent_patient: str = "pat-0013"  # has no address at all
    patient: str = "pat-0001"


def play_believable_day(app: App, *, people: int = 280) -> BelievableDay:
    """Fill an empty database with the day of the app's clock, which has to stand inside the window."""
    now, zone = app.clock(), app.settings.timezone
    day = local_day(now, zone)
    opens, _ = app.settings.send_window.bounds(day, zone)
    appointments = list(_appointments(day + timedelta(days=3), people, app))
    with app.database.transaction() as transaction:
        loaded = {patient.id: LoadedPatient(patient, opens) for patient in _patients(people)}
        upsert_patients(transaction, app.sealer, loaded)
        _add_appointments(transaction, appointments, fetched_at=opens)
        play_past(transaction, app, day)
    ReminderPlanner(app.database, app.settings, lambda: opens).plan(day)
    with app.database.transaction() as transaction:
        play_fates(transaction, opens=opens, now=now)
    _tell_changes(app, appointments)
    _ask_for_messages(app)
    with app.database.transaction() as transaction:
        play_troubles(transaction, app, day=day, opens=opens)
    return BelievableDay(day, now)


def _patients(people: int) -> Iterator[Patient]:
    names = cycle(_NAMES)
    for number in range(people):
        name = HOSTILE_NAME if number == 7 else next(names)
        contacts = _contacts(number)
        yield Patient(f"pat-{number:04}", name, "tr" if name in _TURKISH else "de", contacts, deceased=number == 23)


def _contacts(number: int) -> tuple[ContactPoint, ...]:
    """Half have a phone only, a fifth mail only, most others both, and one in fifty nothing at all."""
    phone = ContactPoint("phone", f"+491510{number:07}", use="mobile", textable=True)
    mail = ContactPoint("email", f"someone.{number}@example.org")
    if number % 50 == 13:
        return ()
    return (phone,) if number % 10 < 5 else (mail,) if number % 10 < 7 else (phone, mail)


def _appointments(day: date, people: int, app: App) -> Iterator[Appointment]:
    venues = cycle(_VENUES)
    for number in range(people):
        start = datetime.combine(day, time(8 + number % 9, number % 4 * 15), app.settings.timezone)
        venue = Venue(HOSTILE_VENUE if number == 7 else next(venues))
        status = AppointmentStatus.CANCELLED if number % 40 == 19 else AppointmentStatus.BOOKED
        yield Appointment(f"apt-{number:04}", f"pat-{number:04}", start, None, venue, status)


def _add_appointments(transaction: Transaction, appointments: list[Appointment], *, fetched_at: datetime) -> None:
    columns = "id, patient_id, start_at, venue, status, content_hash, load_hash, fetched_at, updated_at"
    with transaction.cursor() as cursor, cursor.copy(f"COPY appointments ({columns}) FROM STDIN") as copy:
        for one in appointments:
            said = (one.id, one.patient_id, one.start, one.venue.name, one.status.value)
            copy.write_row((*said, one.content_hash, one.content_hash, fetched_at, fetched_at))


def _tell_changes(app: App, appointments: list[Appointment]) -> None:
    """Twelve appointments move; the first two are of patients whose reminder has failed (`play_fates`)."""
    for appointment in (*appointments[0:2], *appointments[100:110]):
        moved = Appointment(
            appointment.id,
            appointment.patient_id,
            appointment.start + timedelta(hours=2),
            None,
            appointment.venue,
            AppointmentStatus.BOOKED,
        )
        event = ChangeEvent(f"evt-{appointment.id}", EventType.RESCHEDULED, app.clock(), moved)
        app.event_acceptor.accept(event, body={})


def _ask_for_messages(app: App) -> None:
    """Somebody asked for three messages by hand, one of them for the afternoon."""
    said = MessageData(subject="Bring your glasses", text="Please bring the glasses that you wear now.")
    for number, later in ((31, 0), (32, 0), (38, 4)):
        wish = Wish(MESSAGE, f"pat-{number:04}", said, app.clock() + timedelta(hours=later), (Channel.SMS,))
        app.notification_requester.request(wish, caller="person:op", key=f"by-hand-{number}", body={"number": number})
