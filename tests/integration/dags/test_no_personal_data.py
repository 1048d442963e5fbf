"""Nothing of a patient is left anywhere but in the messages to them, sealed in the database, and with who may read it.

A patient with data that nobody mistakes goes through everything: the hospital's API, the DAGs, the broker, workers
with providers that succeed, fail and break, receipts, replies, fallbacks, dead letters, the HTTP surface with good and
bad bodies, reports, alerts. Then every place is searched in which something may have been left. That the search finds
what is there is shown by leaks that are made on purpose, one for each place.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

import orjson
import pika
import pytest
from flask import request

from carenotify.api import problems
from carenotify.api.problems import Problem
from carenotify.app import build_app
from carenotify.channels.base import OutgoingMessage
from carenotify.config import load_settings
from carenotify.domain.access import Scope
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.window import local_day
from carenotify.errors import AddressRejectedError, TemporaryDeliveryError
from carenotify.journeys.note_failure import note_run_failed, note_unmailed
from carenotify.messaging import publishing_lane
from carenotify.sandbox.mail import readable
from carenotify.sandbox.server import SandboxServer
from carenotify.storage.sealed import Sealer
from carenotify.worker import channel_worker
from tests.integration.api.desk import Desk
from tests.integration.dags.conftest import PlayDag, player
from tests.integration.dags.passage import (
    PUBLIC_URL,
    TOKEN,
    Mishap,
    Passage,
    delivering,
    logging_kept,
    publish_by_hand,
    spans_kept,
    spy_on,
)
from tests.integration.dags.recognisable import (
    DESCRIPTION,
    FAMILY,
    GIVEN,
    REPLY,
    VENUE,
    fhir_appointment,
    fhir_patient,
    found_in,
    leaks,
    phone,
)
from tests.integration.ward import Hospital, SetClock, process_settings, wait_for
from tests.unit.sources.fhir_server import Answer, bundle, fhir_server

BERLIN = ZoneInfo("Europe/Berlin")
ALERT_TO = "operations@hospital.example"
# What becomes of their texts; mails all arrive. Who is refused has a second number, and gets texts only.
WELL, BUSY, REFUSED, BROKEN, BAD_CONTACT, STOPS = range(1, 7)


def _connection(url: str, kind: str, **extra: Any) -> str:
    parts = urlsplit(url)
    given = {"host": parts.hostname, "port": parts.port, "login": parts.username, "password": parts.password}
    return json.dumps({"conn_type": kind, "schema": parts.path.lstrip("/"), "extra": extra} | given)


@pytest.fixture(scope="module")
def play(
    dag_server: subprocess.Popen[str], airflow_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> PlayDag:
    return player(dag_server, airflow_environment, folder=tmp_path_factory.mktemp("played"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    today = datetime.now(BERLIN).date()
    with SandboxServer(reminder_day=today, timezone=BERLIN, appointments=5, callback_delay_seconds=(60, 60)) as server:
        yield server


@pytest.fixture(scope="module")
def hospital_api() -> Iterator[str]:
    """The patient API: an appointment of tomorrow for each of six patients; one has a number that is none."""
    day = datetime.now(BERLIN).date() + timedelta(days=1)
    start = datetime.combine(day, time(10), BERLIN).isoformat()
    people = [fhir_patient(number) for number in range(1, 7)]
    people[REFUSED - 1]["telecom"].append({"system": "phone", "value": phone(90), "use": "mobile"})
    people[BAD_CONTACT - 1]["telecom"] = [{"system": "phone", "value": f"{FAMILY}: keine Nummer"}]
    location = {"resourceType": "Location", "id": "l1", "name": VENUE}
    appointments = [fhir_appointment(number, start) for number in range(1, 7)]
    with fhir_server() as api:
        api.by_path["/fhir/Appointment"] = Answer(bundle(*appointments, *people, location, total=len(appointments)))
        yield api.url


@pytest.fixture(scope="module")
def settings(
    module_database_url: str,
    module_broker_url: str,
    sandbox: SandboxServer,
    hospital_api: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    return process_settings(module_database_url, module_broker_url) | {
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_MAX_BAD_SHARE": "0.9",
        "CARENOTIFY_MAX_BAD_ADDRESS_SHARE": "0.9",
        "CARENOTIFY_DATA_DOCS_PATH": str(tmp_path_factory.mktemp("docs")),
        "CARENOTIFY_HOSPITAL_PHONE": "030 1234",
        "CARENOTIFY_ALERT_TO": ALERT_TO,
        "CARENOTIFY_PUBLIC_URL": PUBLIC_URL,
        "CARENOTIFY_EMAIL_FROM": "info@hospital.example",
        "CARENOTIFY_SMTP_URL": sandbox.smtp_url,
        "CARENOTIFY_TWILIO_BASE_URL": sandbox.url,
        "CARENOTIFY_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "CARENOTIFY_TWILIO_AUTH_TOKEN": TOKEN,
        "CARENOTIFY_TWILIO_FROM": "+4930123456",
        "AIRFLOW_CONN_PATIENT_API": json.dumps({"conn_type": "http", "host": hospital_api}),
        "AIRFLOW_CONN_CARENOTIFY_DB": _connection(module_database_url, "postgres"),
        "AIRFLOW_CONN_SMTP_DEFAULT": _connection(sandbox.smtp_url, "smtp", disable_ssl=True, disable_tls=True),
        "OTEL_TRACES_EXPORTER": "console",  # so that the spans of tasks stand in their logs
    }


@pytest.fixture(scope="module")
def passage(
    settings: dict[str, str], play: PlayDag, airflow_environment: dict[str, str], sandbox: SandboxServer
) -> Iterator[Passage]:
    """All of it, once, for every test here."""
    ours = {name: value for name, value in settings.items() if name.startswith("CARENOTIFY_")}
    app = build_app(load_settings(ours), clock=SetClock(datetime.now(UTC)))
    with ExitStack() as kept:
        kept.callback(app.close)
        passage = Passage(
            app,
            settings["CARENOTIFY_DATABASE_URL"],
            settings["CARENOTIFY_BROKER_URL"],
            Path(airflow_environment["AIRFLOW_HOME"]),
            Hospital(app.database),
            kept.enter_context(logging_kept()),
            kept.enter_context(spans_kept()),
            alert_mails=lambda: json.dumps(
                [readable(one) for one in sandbox.ledger.messages("email") if ALERT_TO in one["to"]], default=str
            ),
            docs=Path(settings["CARENOTIFY_DATA_DOCS_PATH"]),
        )
        spy_on(passage.broker_url)
        _load_and_plan(passage, play, settings)
        _deliver(passage)
        _answer(passage)
        _ask(passage)
        _die(passage, play, settings)
        _play(passage, play, "watch_delivery", settings)
        yield passage


def _play(passage: Passage, play: PlayDag, dag_id: str, settings: dict[str, str], **conf: Any) -> None:
    run = play("play", dag_id, conf, settings)
    passage.dag_logs.append(run["log"])
    assert run["state"] == "success", run["log"][-8000:]


def _load_and_plan(passage: Passage, play: PlayDag, settings: dict[str, str]) -> None:
    tomorrow = local_day(passage.app.clock(), BERLIN) + timedelta(days=1)
    _play(passage, play, "ingest_appointments", settings, first_day=tomorrow.isoformat(), days_ahead=0)
    passage.hospital.set_preferences(f"p{REFUSED}", channels=["sms"])
    _play(passage, play, "send_reminders", settings)


def _die(passage: Passage, play: PlayDag, settings: dict[str, str]) -> None:
    """A task dies of a bug whose text, causes and notes tell of a patient, and staff are told that its run failed."""
    bug = {"place": "carenotify.journeys.plan_reminders.ReminderPlanner.plan", "only": "plan"}
    died = play("die", "send_reminders", bug, settings)
    assert died["state"] == "failed"
    told = play("fail", "send_reminders", {"run_id": died["run_id"]}, settings)
    passage.dag_logs += [died["log"], told["log"]]


def _mishap(message: OutgoingMessage) -> Exception | None:
    """What the provider of texts does, by whom the message is to."""
    if message.attempt == 1 and message.to == phone(BUSY):
        return TemporaryDeliveryError("20500")
    if message.to == phone(REFUSED):
        return AddressRejectedError("30005")
    if message.attempt == 1 and message.to == phone(BROKEN):
        return RuntimeError(f"cannot send to {message.to}: {message.text}")
    return None


def _deliver(passage: Passage) -> None:
    app, clock, statuses = passage.app, passage.app.clock, passage.hospital.statuses
    assert isinstance(clock, SetClock)
    real = {channel: app.providers[channel] for channel in (Channel.SMS, Channel.EMAIL)}
    app.__dict__["providers"] = {
        channel: tuple(Mishap(one, _mishap) for one in providers) for channel, providers in real.items()
    }
    clock.now = datetime.now(UTC)
    publish_by_hand(passage.broker_url, f"{GIVEN} {FAMILY} {phone(WELL)}".encode())
    with delivering(app):
        wait_for(lambda: statuses()["queued"] == 0 and statuses()["sending"] == 1, seconds=30)
        clock.advance(seconds=app.settings.claim_seconds + 40)  # the claim of whoever broke is over
        app.relay.sweep()
        app.fallback_sweeper.sweep()
        app.due_publisher.publish_due(Lane.LOW)
        app.due_publisher.publish_due(Lane.HIGH)
        wait_for(lambda: not {"pending", "queued", "sending"} & (+statuses()).keys(), seconds=30)
        wait_for(lambda: app.dead_letter_drain.drain() is not None and bool(_returned(passage)))


def _returned(passage: Passage) -> list[tuple[Any, ...]]:
    return passage.hospital.query("SELECT 1 FROM dead_letters WHERE source = 'broker'")


def _answer(passage: Passage) -> None:
    """Providers report, and people answer."""
    texts = passage.hospital.query(
        "SELECT id, patient_id, provider_message_id FROM notifications WHERE channel = 'sms'"
    )
    for identity, patient_id, message_id in texts:
        told = {"MessageSid": message_id or "SM0", "MessageStatus": "delivered", "To": phone(int(patient_id[1:]))}
        if patient_id == f"p{WELL}":
            told |= {"MessageStatus": "undelivered", "ErrorCode": "30005"}
        passage.signed(f"/receipts/twilio?notification_id={identity}", told)
    for sid, number, words in (("SM1", STOPS, "STOP"), ("SM2", WELL, REPLY), ("SM3", 77, f"{REPLY} STOP")):
        told = {"MessageSid": sid, "From": phone(number), "To": "+4930123456", "Body": words, "NumMedia": "0"}
        passage.signed("/inbound/twilio", told)
    passage.app.fallback_sweeper.sweep()


def _ask(passage: Passage) -> None:
    """The HTTP surface, with what it takes and with what it must refuse."""
    desk, note = passage.desk, passage.note
    token = desk.key(*Scope)
    masked = desk.key(Scope.NOTIFICATIONS_READ_MASKED)
    start = (passage.app.clock() + timedelta(days=2)).isoformat()
    known = {"id": f"a{WELL}", "patient_id": f"p{WELL}", "start": start, "venue": VENUE}
    event = {"type": "appointment.rescheduled", "occurred_at": passage.app.clock().isoformat(), "appointment": known}
    personal = {"given_name": GIVEN, "phone": phone(WELL), "text": DESCRIPTION}
    wish = {"type": "message", "user": f"p{BUSY}", "data": {"subject": FAMILY, "text": DESCRIPTION}}
    posts: list[tuple[str, Any]] = [
        ("/events", event | {"event_id": "e1"}),
        ("/events", event | {"event_id": "e2", "type": GIVEN, "occurred_at": FAMILY}),
        ("/events", event | {"event_id": "e3", "appointment": known | {"start": phone(WELL), "status": DESCRIPTION}}),
        ("/events", event | {"event_id": "e4"} | personal),
        ("/fhir/Appointment", fhir_appointment(WELL, start) | {"meta": {"lastUpdated": start}}),
        ("/fhir/Appointment", fhir_appointment(WELL, FAMILY) | {"status": GIVEN}),
        ("/notifications", wish),
        ("/notifications", wish | {"data": personal, "channels": [GIVEN], "schedule_at": phone(WELL)}),
        ("/notifications", wish | {"user": {"name": FAMILY}, "type": GIVEN}),
        ("/notifications/preview", wish | {"type": GIVEN, "data": personal}),
        ("/pause", {"channel": FAMILY}),
        ("/dead-letters/replay", {"ids": [FAMILY], "reasons": [GIVEN]}),
    ]
    for path, body in posts:
        note(desk.call_with(token, "POST", path, json=body, headers={"Idempotency-Key": f"{len(passage.answers)}"}))
    for garbage in (f'{{"given": "{GIVEN}', f"[{phone(WELL)!r}]", GIVEN.encode("latin-1")):
        note(desk.call_with(token, "POST", "/events", data=garbage, content_type="application/json"))
    told = passage.hospital.query("SELECT id FROM notifications LIMIT 3")
    pages = [f"/notifications/{identity}" for (identity,) in told] + [f"/notifications?patient_id=p{WELL}"]
    for page in pages:
        note(desk.call_with(masked, "GET", page))
    day = local_day(passage.app.clock(), BERLIN)
    for page in (
        f"/notifications/{FAMILY}",
        f"/notifications?status={GIVEN}&channel={FAMILY}&from={phone(WELL)}",
        f"/dead-letters/{FAMILY}",
        f"/{GIVEN}",
        "/dead-letters",
        "/alerts",
        "/overview",
        "/providers",
        f"/reports/delivery?date={day}",
        f"/reports/delivery.csv?date={day}",
        f"/reports/monthly?month={day:%Y-%m}",
        "/reports/coverage",
    ):
        note(desk.call_with(token, "GET", page))
    note(desk.client.get("/carenotify/v1/notifications", headers={"Authorization": f"Bearer {FAMILY}"}))


def _arrived(sandbox: SandboxServer) -> str:
    mails = [readable(one) for one in sandbox.ledger.messages("email") if ALERT_TO not in one["to"]]
    return json.dumps([*sandbox.ledger.messages("sms"), *mails], default=str, ensure_ascii=False)


def test_the_patients_got_their_messages_and_everything_happened_that_can(
    passage: Passage, sandbox: SandboxServer
) -> None:
    """Else the search would find nothing because there was nothing."""
    arrived = _arrived(sandbox)
    assert {"given name", "its second part", "phone", "family name, or address"} <= found_in(arrived)
    assert VENUE in arrived
    query = passage.hospital.query
    outcomes = {row[0] for row in query("SELECT outcome FROM delivery_attempts")}
    assert outcomes >= {"sent", "temporary", "worker_lost", "address_rejected"}
    assert {row[0] for row in query("SELECT source FROM dead_letters")} == {"broker", "delivery"}
    assert query("SELECT 1 FROM notifications WHERE fallback_of IS NOT NULL")
    assert {row[0] for row in query("SELECT status FROM receipts")} == {"delivered", "failed"}
    assert {row[0] for row in query("SELECT meaning FROM inbound_messages")} == {"stop", "other"}
    assert query("SELECT count(*) > 0 FROM quarantine") == [(True,)]
    mailed = {row[0] for row in query("SELECT kind FROM alerts WHERE mailed_at IS NOT NULL")}
    assert mailed >= {"delivery_failed", "task_failed"}


def test_nothing_of_them_is_left_anywhere_else(passage: Passage) -> None:
    assert leaks(passage.places()) == {}


def test_every_place_holds_what_belongs_there(passage: Passage) -> None:
    places = {
        place: content if isinstance(content, str) else content.decode("utf-8", "replace")
        for place, content in passage.places().items()
    }
    signs = {
        "logs of our processes": "could not be sent: RuntimeError at",
        "logs of Airflow's tasks": "carenotify.task_id",
        "Airflow's database, with its XComs": "patient_days",
        "messages in the broker": "traceparent",
        "error bodies": "Some fields are missing or wrong.",
        "answers": "patient_days_due",
        "alert mails": "address_rejected",
        "metrics": "carenotify_delivery_attempts_total",
        "spans": '"error.type": "RuntimeError"',
        "data docs": "<html",
        "the database, its bytes in hex": "COPY carenotify.patients",
        "the database, its bytes escaped": "COPY carenotify.patients",
    }
    assert places.keys() == signs.keys()
    assert [place for place, sign in signs.items() if sign not in places[place]] == []


def test_what_a_task_died_of_is_logged_by_kind_and_place(passage: Passage) -> None:
    logs = passage.places()["logs of Airflow's tasks"]
    assert isinstance(logs, str)
    assert "UnforeseenError: RuntimeError at" in logs
    assert "deaths.py" in logs


def _ask_for(desk: Desk, token: str, wish: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answer = desk.call_with(token, "POST", "/notifications", json=wish, headers=headers)
    assert answer.status_code == 202, answer.text


def test_what_leaks_is_found_in_every_place(
    passage: Passage, play: PlayDag, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last, since it leaves what the others must not find."""
    app, desk = passage.app, passage.desk
    token = desk.key(*Scope)

    def wish(number: int) -> dict[str, Any]:
        return {"type": "message", "user": f"p{number}", "data": {"subject": "x", "text": FAMILY}, "channels": ["sms"]}

    # logs, broker, metrics, spans, a plain column: an error's text, a header, and a provider with the patient's name
    monkeypatch.setattr(channel_worker, "place_of", str)
    properties = publishing_lane._properties
    monkeypatch.setattr(
        publishing_lane,
        "_properties",
        lambda one: pika.BasicProperties(app_id=GIVEN, message_id=properties(one).message_id),
    )
    [provider] = app.providers[Channel.SMS]
    assert isinstance(provider, Mishap)
    monkeypatch.setattr(provider, "name", FAMILY)
    for number in (BUSY, BROKEN):
        _ask_for(desk, token, wish(number))
    with delivering(app):
        wait_for(lambda: bool(passage.hospital.query("SELECT 1 FROM delivery_attempts WHERE provider = %s", FAMILY)))
        wait_for(lambda: FAMILY in passage.logged.getvalue())
    # error bodies: one that repeats what was sent; answers: one that only those may read who may see addresses
    monkeypatch.setattr(
        problems, "Problem", lambda **told: Problem(**(told | {"detail": request.get_data(as_text=True)}))
    )
    passage.note(desk.call_with(token, "POST", "/events", json={"event_id": FAMILY}))
    [(known,), *_] = passage.hospital.query("SELECT notification_id FROM delivery_attempts WHERE provider = %s", FAMILY)
    passage.note(desk.call_with(token, "GET", f"/notifications/{known}"))
    # alert mails: a run that somebody called by the patient's name
    mail_id = note_run_failed(app.database, "send_reminders", FAMILY, "Clear it.", app.clock())
    assert mail_id is not None
    note_unmailed(app.database, mail_id)
    app.alert_mailer.mail(app.alert_sender)
    # Airflow: a form that somebody filled in with the patient's name, which its database and the task's log repeat
    passage.dag_logs.append(
        play("play_without_retries", "ingest_appointments", {"release_run_id": FAMILY}, settings)["log"]
    )
    # data docs
    (passage.docs / "page.html").write_text(f"<p>{FAMILY}</p>")
    # bytes of the database that should be sealed
    monkeypatch.setattr(Sealer, "seal", lambda _, value: orjson.dumps(value))
    unsealed = wish(STOPS) | {"data": {"subject": "x", "text": DESCRIPTION}, "channels": ["email"]}
    _ask_for(desk, token, unsealed)

    found = leaks(passage.places())
    assert found.keys() == passage.places().keys()
    for bytes_as in ("in hex", "escaped"):
        assert "description" in found[f"the database, its bytes {bytes_as}"]
