"""What the integration tests are played with: a hospital to put rows into, a clock, and providers that obey."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet

from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.config import Settings, load_settings
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.notification import Channel
from carenotify.domain.patient import ContactPoint, Patient
from carenotify.errors import DeliveryError
from carenotify.storage.database import Database
from carenotify.storage.patients import address_indexes, seal_contact

# A Tuesday, 09:30 in Berlin: inside the window.
NOON = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
MOBILE = "+4915112345678"
MAIL = "anna@example.org"


@dataclass
class SetClock:
    """A clock that stands still until it is moved."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class ScriptedProvider(Provider):
    """Takes every message, or raises what its script says for the notification's next attempt."""

    channel: Channel  # type: ignore[misc]
    name: str = "scripted"  # type: ignore[misc]
    script: Callable[[OutgoingMessage], DeliveryError | None] = lambda _: None
    taken: list[OutgoingMessage] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: OutgoingMessage) -> str:
        error = self.script(message)
        if error is not None:
            raise error
        with self.guard:
            self.taken.append(message)
        return f"id-{message.notification_id}"

    @property
    def times(self) -> Counter[UUID]:
        with self.guard:
            return Counter(message.notification_id for message in self.taken)

    def close(self) -> None:
        """Nothing to let go of."""


class Hospital:
    """Puts patients and appointments where a load would put them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_patient(
        self,
        patient_id: str = "anna",
        *,
        phone: str | None = MOBILE,
        mail: str | None = MAIL,
        contacts: Sequence[ContactPoint] | None = None,
        **fields: Any,
    ) -> Patient:
        if contacts is None:
            contacts = [ContactPoint("phone", phone, use="mobile", textable=True)] if phone else []
            contacts += [ContactPoint("email", mail)] if mail else []
        values = {"given_name": "Anna", "language": "en"} | fields
        patient = Patient(patient_id, contacts=tuple(contacts), **values)
        sealer = self.database.sealer
        with self.database.transaction() as transaction:
            transaction.execute(
                """
                INSERT INTO patients
                    (id, sealed_contact, language, deceased, merged_into, address_indexes, content_hash, fetched_at)
                VALUES (%s, %s, %s, %s, %s, %s, '', now())
                """,
                (
                    patient.id,
                    seal_contact(patient, sealer),
                    patient.language,
                    patient.deceased,
                    patient.merged_into,
                    address_indexes(patient, sealer),
                ),
            )
        return patient

    def add_appointment(
        self,
        appointment_id: str = "a1",
        patient_id: str = "anna",
        *,
        start: datetime = NOON + timedelta(days=3, hours=2),
        venue: str = "Cardiology",
        status: str = "booked",
    ) -> Appointment:
        appointment = Appointment(appointment_id, patient_id, start, None, Venue(venue), AppointmentStatus(status))
        with self.database.transaction() as transaction:
            transaction.execute(
                """
                INSERT INTO appointments (id, patient_id, start_at, venue, status, content_hash, fetched_at)
                VALUES (%s, %s, %s, %s, %s, %s, now())
                ON CONFLICT (id) DO UPDATE
                SET start_at = excluded.start_at, venue = excluded.venue, status = excluded.status,
                    content_hash = excluded.content_hash
                """,
                (appointment.id, appointment.patient_id, start, venue, status, appointment.content_hash),
            )
        return appointment

    def set_preferences(self, patient_id: str = "anna", **columns: Any) -> None:
        names = ", ".join(columns)
        marks = ", ".join(["%s"] * len(columns))
        with self.database.transaction() as transaction:
            transaction.execute(
                f"INSERT INTO preferences (patient_id, {names}) VALUES (%s, {marks})", (patient_id, *columns.values())
            )

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.transaction() as transaction:
            return transaction.execute(statement, parameters).fetchall()

    def statuses(self) -> Counter[str]:
        return Counter(row[0] for row in self.query("SELECT status FROM notifications"))


def make_unreadable(hospital: Hospital, *patient_ids: str) -> None:
    """These patients' records were sealed with a key that nobody has any more."""
    foreign = Fernet(Fernet.generate_key()).encrypt(b"{}")
    hospital.query(
        "UPDATE patients SET sealed_contact = %s WHERE id = ANY (%s) RETURNING 1", foreign, list(patient_ids)
    )


# One for all tests of a process, so that whoever is given the same database can read what is in it.
_ENCRYPTION_KEY = Fernet.generate_key().decode()


def process_settings(
    database_url: str = "postgresql://127.0.0.1:9/none", broker_url: str = "amqp://127.0.0.1:9/"
) -> dict[str, str]:
    """What no process of ours starts without; where no server is named nobody listens."""
    return {
        "CARENOTIFY_DATABASE_URL": database_url,
        "CARENOTIFY_BROKER_URL": broker_url,
        "CARENOTIFY_TIMEZONE": "Europe/Berlin",
        "CARENOTIFY_ENCRYPTION_KEYS": _ENCRYPTION_KEY,
        "CARENOTIFY_INDEX_KEY": "an index key for the tests",
    }


def make_settings(database_url: str, broker_url: str = "amqp://127.0.0.1:1/", **others: str) -> Settings:
    named = {"CARENOTIFY_HOSPITAL_NAME": "St. Mary", "CARENOTIFY_HOSPITAL_PHONE": "030 1234"}
    return load_settings(process_settings(database_url, broker_url) | named | others)


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Come back when the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        threading.Event().wait(0.02)


def let_pass(clock: SetClock, condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """As wait_for, while the clock goes on, five times as fast as a real one."""

    def later() -> bool:
        clock.advance(seconds=0.1)
        return condition()

    wait_for(later, seconds=seconds)
