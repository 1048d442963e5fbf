"""The figures that monitoring reads are those of the tables, of today and no other day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.breaker import BreakerState
from carenotify.domain.figures import DeliveryFigures, PatientDays, Waiting
from carenotify.domain.notification import Channel, Lane, Status
from carenotify.errors import AddressRejectedError, DeliveryError
from carenotify.journeys.report_delivery import report_delivery
from carenotify.storage import pauses
from carenotify.storage.database import Connections, Database
from tests.integration.alerting import app_of_staff
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, wait_for

TODAY = date(2026, 11, 24)
YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
def figures(app: App, hospital: Hospital, clock: SetClock) -> DeliveryFigures:
    """Those of a day on which three patients were planned, and one text was sent and one refused."""
    _play(app, hospital)
    clock.advance(minutes=10)
    found = app.figure_reader.read(patient_days=False).figures
    assert found is not None
    return found


def _play(app: App, hospital: Hospital) -> None:
    for number in range(4):
        hospital.add_patient(f"p{number}", phone=f"+4915112345{number}00", mail=f"p{number}@example.org")
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    _were_made_yesterday(hospital, "p3")
    _send_texts(app, hospital, {"p0": None, "p1": AddressRejectedError("21211")})
    with app.database.transaction() as transaction:
        pauses.pause(transaction, Channel.EMAIL, by="a test", now=app.clock())
        for statement in (
            "INSERT INTO provider_states (provider, state, changed_at) VALUES ('twilio', 'open', now())",
            "INSERT INTO provider_states (provider, state, changed_at) VALUES ('gone', 'open', now())",
            "UPDATE notifications SET possible_duplicate = true, fallback_of = id WHERE patient_id = 'p0'",
        ):
            transaction.execute(statement)
    _note_loads(hospital)
    _note_what_came_in(hospital)
    _note_alerts(hospital)


def _were_made_yesterday(hospital: Hospital, patient: str) -> None:
    hospital.query(
        "UPDATE notifications SET created_at = %s, due_at = %s, expires_at = %s, status = 'expired' "
        "WHERE patient_id = %s RETURNING 1",
        YESTERDAY,
        YESTERDAY,
        YESTERDAY + timedelta(hours=3),
        patient,
    )


def _send_texts(app: App, hospital: Hospital, answers: dict[str, DeliveryError | None]) -> None:
    [provider] = app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    rows = hospital.query("SELECT id, patient_id FROM notifications WHERE channel = 'sms'")
    patients = dict(rows)

    def script(message: OutgoingMessage) -> DeliveryError | None:
        return answers[patients[message.notification_id]]

    provider.script = script
    claims, _ = app.deliverer.claim([each for each, patient in rows if patient in answers])
    app.deliverer.record([app.deliverer.send(claim) for claim in claims])


def _note_loads(hospital: Hospital) -> None:
    for name, status, started in [
        ("old", "loaded", YESTERDAY),
        ("first", "loaded", NOON - timedelta(hours=2)),
        ("second", "held", NOON - timedelta(hours=1)),
        ("third", "running", NOON),
    ]:
        hospital.query(
            "INSERT INTO ingest_runs (id, started_at, finished_at, status, first_day, last_day, counts) VALUES "
            "(%s, %s, %s, %s, %s, %s, %s) RETURNING 1",
            name,
            started,
            None if status == "running" else started + timedelta(minutes=1),
            status,
            TODAY,
            TODAY,
            '{"rows": 90, "rejected": 4, "duplicates": 2}' if name == "first" else "{}",
        )


def _note_what_came_in(hospital: Hospital) -> None:
    hospital.query(
        "INSERT INTO quarantine (run_id, row_key, rules, sealed_row, fetched_at, rejected, quarantined_at, resolved_at)"
        " VALUES ('old', 'k1', '{}', '', now(), true, now(), NULL), ('old', 'k2', '{}', '', now(), false, now(), NULL),"
        " ('old', 'k3', '{}', '', now(), true, now(), now()) RETURNING 1"
    )
    hospital.query(
        "INSERT INTO receipts"
        " (notification_id, provider, provider_message_id, provider_status, received_at, applied_at)"
        " VALUES (gen_random_uuid(), 'twilio', 'm1', 'sent', now(), NULL),"
        " (gen_random_uuid(), 'twilio', 'm2', 'sent', now(), now()) RETURNING 1"
    )
    for name, received, outcome in [("e1", NOON, "notified"), ("e2", NOON, None), ("e3", YESTERDAY, "notified")]:
        hospital.query(
            "INSERT INTO change_events (event_id, type, source, appointment_id, occurred_at, received_at, body_hash, "
            "sealed_body, outcome) VALUES (%s, 'appointment.cancelled', 'api', 'a1', %s, %s, '', '', %s) RETURNING 1",
            name,
            received,
            received,
            outcome,
        )


def _note_alerts(hospital: Hospital) -> None:
    hospital.query("INSERT INTO heartbeats VALUES ('watch_delivery', %s) RETURNING 1", NOON)
    for kind, raised, mailed in [
        ("load_held", NOON - timedelta(minutes=5), None),
        ("load_held", NOON, NOON),
        ("no_plan", YESTERDAY, YESTERDAY),
    ]:
        hospital.query(
            "INSERT INTO alerts (kind, subject, raised_at, mailed_at) VALUES (%s, 'x', %s, %s) RETURNING 1",
            kind,
            raised,
            mailed,
        )


def test_what_was_made_today_is_counted_by_its_status(figures: DeliveryFigures) -> None:
    assert figures.made.by_status == {
        (Channel.SMS, Status.SENT): 1,
        (Channel.SMS, Status.FAILED): 1,
        (Channel.SMS, Status.PENDING): 1,
        (Channel.EMAIL, Status.PENDING): 3,
    }
    assert (figures.made.possible_duplicates, figures.made.fallbacks) == (2, 2)


def test_what_waits_is_counted_with_how_long_the_oldest_waits(figures: DeliveryFigures, hospital: Hospital) -> None:
    [(due_at,)] = hospital.query("SELECT min(due_at) FROM notifications WHERE status = 'pending'")
    seconds = (NOON + timedelta(minutes=10) - due_at).total_seconds()
    assert figures.due == {
        (Channel.SMS, Lane.LOW): Waiting(1, seconds),
        (Channel.EMAIL, Lane.LOW): Waiting(3, seconds),
    }


def test_what_waits_for_people_is_told_by_reason(figures: DeliveryFigures) -> None:
    assert figures.dead_letters == {"address_rejected": 1}
    assert figures.paused == {Channel.EMAIL}
    assert figures.quarantine == {"rejected": 1, "address_left_out": 1}


def test_providers_that_are_set_up_are_there_and_no_others(figures: DeliveryFigures) -> None:
    assert figures.breakers == {"twilio": BreakerState.OPEN, "smtp": BreakerState.CLOSED}


def test_loads_are_todays_and_the_newest_that_was_taken_over(figures: DeliveryFigures) -> None:
    assert figures.loads.today == {"loaded": 1, "held": 1, "running": 1}
    assert figures.loads.held == 1
    assert figures.loads.last_at == NOON - timedelta(hours=2) + timedelta(minutes=1)
    assert figures.loads.last_rows == {"good": 86, "rejected": 4, "duplicate": 2}


def test_what_came_in_is_todays(figures: DeliveryFigures) -> None:
    assert figures.receipts_waiting == 1
    assert figures.change_events == {"notified": 1}


def test_the_plan_and_the_watcher_are_known_by_their_moments(figures: DeliveryFigures) -> None:
    assert (figures.plan.last_at, figures.plan.today) == (NOON, 8)
    assert figures.watched_at == NOON
    assert (figures.today.opens.hour, figures.today.closes.hour) == (8, 11)


def test_alerts_are_counted_by_kind_and_where_nobody_is_to_be_mailed_none_waits_for_that(
    figures: DeliveryFigures,
) -> None:
    assert figures.alerts == {"load_held": 2}
    assert figures.unmailed == Waiting(0, 0.0)


@pytest.mark.parametrize(("over_since", "minutes"), [(None, 15), (NOON - timedelta(minutes=2), 2)], ids=["", "over"])
def test_an_alert_waits_from_when_it_was_raised_and_once_it_is_over_from_its_end(
    app: App, clock: SetClock, hospital: Hospital, over_since: datetime | None, minutes: int
) -> None:
    statement = (
        "INSERT INTO alerts (kind, subject, raised_at, resolved_at, mailed_at) VALUES ('load_held', 'x', %s, %s, %s)"
        " RETURNING 1"
    )
    hospital.query(statement, NOON - timedelta(hours=1), None, NOON)
    hospital.query(statement, NOON - timedelta(minutes=15), over_since, None)
    reader = app_of_staff(app, clock).figure_reader
    figures = reader.read(patient_days=False).figures
    assert figures is not None
    assert figures.unmailed == Waiting(1, minutes * 60)


def test_patient_days_are_those_of_the_daily_report(app: App, hospital: Hospital) -> None:
    _play(app, hospital)
    reading = app.figure_reader.read(patient_days=True)
    report = report_delivery(TODAY, database=app.database, settings=app.settings)
    assert reading.patient_days == PatientDays(report.patient_days_due, report.patient_days_reached)
    assert reading.patient_days == PatientDays(due=3, reached=1)  # one was told yesterday


def test_an_empty_database_has_figures_too(app: App) -> None:
    reading = app.figure_reader.read(patient_days=True)
    assert reading.figures is not None
    assert reading.patient_days == PatientDays(0, 0)
    assert (reading.figures.plan.last_at, reading.figures.loads.last_at, reading.figures.watched_at) == (None,) * 3
    assert reading.figures.unmailed == Waiting(0, 0.0)


@pytest.fixture
def slow(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """One whose database takes half a minute for each reading."""
    monkeypatch.setattr("carenotify.storage.figures._RECEIPTS_WAITING", "SELECT 1 FROM pg_sleep(30)")
    return app


def test_a_database_that_is_slow_ends_what_nobody_waits_for_any_more(slow: App, hospital: Hospital) -> None:
    assert slow.figure_reader.read(patient_days=False).figures is None
    slow.figure_reader.close()
    assert hospital.query(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT 1 FROM pg_sleep%%' AND state = 'active'"
    ) == [(0,)]


def test_connections_are_told_by_what_they_do(database_url: str) -> None:
    database = Database(database_url, sealer=None, max_connections=2)  # type: ignore[arg-type]
    assert database.connections() == Connections(busy=0, idle=0, waiting=0)
    with database.transaction():
        wait_for(lambda: database.connections().busy == 1)
    wait_for(lambda: database.connections().busy == 0 and database.connections().idle > 0)
    database.close()
