"""Patients, appointments and planned reminders, without a source."""

from __future__ import annotations

from datetime import date, timedelta

from carenotify.app import App
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.clock import system_clock
from carenotify.domain.patient import ContactPoint, Patient
from carenotify.domain.window import local_day
from carenotify.storage.patients import address_indexes, seal_contact


def add_appointments(app: App, number: int, *, mail: bool = False) -> date:
    """One appointment each for `number` patients with a phone, or a phone and mail, three days ahead; returns today."""
    sealer, now = app.sealer, system_clock()
    with app.database.transaction() as transaction, transaction.cursor() as cursor:
        columns = "(id, sealed_contact, language, deceased, address_indexes, content_hash, fetched_at)"
        with cursor.copy(f"COPY patients {columns} FROM STDIN") as copy:
            for row in range(number):
                contacts = [ContactPoint("phone", f"+49151{row:05d}500", use="mobile", textable=True)]
                contacts += [ContactPoint("email", f"p{row}@example.org")] if mail else []
                patient = Patient(f"p{row}", "Anna", "en", tuple(contacts))
                sealed = seal_contact(patient, sealer)
                copy.write_row((patient.id, sealed, "en", False, address_indexes(patient, sealer), b"", now))
        columns = "(id, patient_id, start_at, venue, status, content_hash, fetched_at)"
        start = now + timedelta(days=3)
        with cursor.copy(f"COPY appointments {columns} FROM STDIN") as copy:
            for row in range(number):
                one = Appointment(f"a{row}", f"p{row}", start, None, Venue("Cardiology"), AppointmentStatus.BOOKED)
                copy.write_row((one.id, one.patient_id, start, "Cardiology", "booked", one.content_hash, now))
    return local_day(now, app.settings.timezone)


def plan(app: App, number: int) -> None:
    """`number` pending reminders."""
    app.seed_templates()
    app.reminder_planner.plan(add_appointments(app, number))


def wipe(app: App) -> None:
    """Start over with empty tables."""
    with app.database.transaction() as transaction:
        transaction.execute("TRUNCATE patients, appointments, notifications, delivery_attempts, dead_letters CASCADE")
