"""A day at a glance: what is counted, when it is the same, and what it says before anything has happened."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date, timedelta
from typing import Any

import pytest
from desk import TOKENS, Desk
from psycopg.types.json import Jsonb

from carenotify.api import create_app
from carenotify.app import App, build_app
from carenotify.domain.access import Scope
from carenotify.journeys.report_delivery import report_delivery
from tests.integration.ward import NOON, Hospital, SetClock, make_settings

VIEWER = "viewer.to.ken"
TODAY = date(2026, 11, 24)


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is worked out; what is remembered has tests of its own."""
    monkeypatch.setattr("carenotify.journeys.read_overview._GOOD_FOR_SECONDS", 0.0)
    monkeypatch.setattr("carenotify.journeys.share_answers._BUSY_SHARE", 1e9)


def overview(desk: Desk, query: str = "") -> dict[str, Any]:
    answer = desk.call_with(VIEWER, "GET", f"/overview{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


@pytest.fixture
def day(app: App, hospital: Hospital) -> Hospital:
    """Three patients: Anna on both channels, Berta by SMS, Carl by mail."""
    hospital.add_patient("anna")
    hospital.add_appointment("a1", "anna")
    hospital.add_patient("berta", mail=None)
    hospital.add_appointment("b1", "berta", venue="<script>alert(1)</script>")
    hospital.add_patient("carl", phone=None)
    hospital.add_appointment("c1", "carl")
    app.reminder_planner.plan(TODAY)
    return hospital


def end(ward: Hospital, patient: str, status: str, *, at: timedelta = timedelta(0), channel: str = "%") -> None:
    """How a patient's messages ended, with the attempt that they ended by."""
    ward.query(
        """
        WITH ended AS (
            UPDATE notifications SET status = %s, finished_at = %s WHERE patient_id = %s AND channel LIKE %s
            RETURNING id
        )
        INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, finished_at)
        SELECT id, 1, 'twilio', CASE %s WHEN 'failed' THEN 'retries_spent' ELSE 'sent' END, %s FROM ended
        RETURNING 1
        """,
        status,
        NOON + at,
        patient,
        channel,
        status,
        NOON + at,
    )


def test_an_empty_hospital_has_an_overview(desk: Desk) -> None:
    found = overview(desk)
    nothing = {"waiting": 0, "sent": 0, "delivered": 0, "failed": 0, "other": 0}
    assert found == {
        "day": "2026-11-24",
        "now": "2026-11-24T08:30:00Z",
        "timezone": "Europe/Berlin",
        "window": {"opens_at": "2026-11-24T08:00:00Z", "closes_at": "2026-11-24T11:00:00Z"},
        "planned_at": None,
        "patient_days_due": 0,
        "patient_days_reached": 0,
        "reached_share": None,
        "target_share": 0.99,
        "untold": 0,
        "by_channel": {"email": nothing, "sms": nothing},
        "by_status": {},
        "changes_today": 0,
        "timeline": {"minutes": 5, "points": []},
        "dead_letters_open": 0,
        "alerts": [],
        "alerts_unmailed": 0,
        "paused": [],
        "providers": [
            {
                "channel": channel,
                "provider": provider,
                "state": "closed",
                "since": None,
                "retry_at": None,
                "last_code": None,
            }
            for channel, provider in (("email", "smtp"), ("sms", "twilio"))
        ],
        "last_load": None,
    }


def test_reached_and_due_are_those_of_the_report(desk: Desk, app: App, day: Hospital) -> None:
    end(day, "anna", "failed", channel="sms")
    end(day, "anna", "sent", channel="email")
    end(day, "berta", "failed")
    day.add_patient("dora")
    day.add_appointment("d1", "dora")  # nobody planned it
    day.query("UPDATE appointments SET updated_at = %s RETURNING 1", NOON - timedelta(days=1))
    found, report = overview(desk), report_delivery(TODAY, database=app.database, settings=app.settings)
    assert found["patient_days_due"] == report.patient_days_due == 4
    assert found["patient_days_reached"] == report.patient_days_reached == 1
    assert found["reached_share"] == report.reached_share == 0.25
    assert found["untold"] == report.untold == 1
    assert found["by_status"] == report.by_status == {"failed": 2, "pending": 1, "sent": 1}
    assert found["by_channel"]["sms"] == {"waiting": 0, "sent": 0, "delivered": 0, "failed": 2, "other": 0}
    assert found["by_channel"]["email"] == {"waiting": 1, "sent": 1, "delivered": 0, "failed": 0, "other": 0}


def test_the_timeline_says_what_happened_in_each_five_minutes(desk: Desk, day: Hospital) -> None:
    end(day, "anna", "sent", at=timedelta(minutes=4, seconds=59))
    end(day, "berta", "failed", at=timedelta(minutes=5))
    end(day, "carl", "delivered", at=timedelta(minutes=6))
    day.query(
        """
        INSERT INTO receipts (notification_id, provider, provider_message_id, provider_status, status, received_at)
        SELECT id, 'twilio', 'SM1', word, 'delivered', %s + minutes * interval '1 minute'
        FROM notifications, (VALUES ('delivered', 12), ('read', 30)) AS said (word, minutes)
        WHERE patient_id = 'carl'
        RETURNING 1
        """,
        NOON,
    )
    assert overview(desk)["timeline"]["points"] == [
        {"at": "2026-11-24T08:30:00Z", "sent": 2, "delivered": 0, "failed": 0},
        {"at": "2026-11-24T08:35:00Z", "sent": 1, "delivered": 0, "failed": 1},
        {"at": "2026-11-24T08:40:00Z", "sent": 0, "delivered": 1, "failed": 0},
    ]


def test_what_a_receipt_says_failed_did_so_when_it_came(desk: Desk, day: Hospital) -> None:
    end(day, "berta", "failed", at=timedelta(minutes=1))
    day.query(
        """
        INSERT INTO receipts (notification_id, provider, provider_message_id, provider_status, status, received_at)
        SELECT id, 'twilio', 'SM1', 'undelivered', 'failed', %s FROM notifications WHERE patient_id = 'berta'
        RETURNING 1
        """,
        NOON + timedelta(minutes=20),
    )
    assert overview(desk)["timeline"]["points"] == [
        {"at": "2026-11-24T08:50:00Z", "sent": 0, "delivered": 0, "failed": 1}
    ]


def test_what_waits_for_people_is_counted(desk: Desk, day: Hospital) -> None:
    day.query("INSERT INTO dead_letters (reason, attempts, created_at) VALUES ('carrier', 1, %s) RETURNING 1", NOON)
    day.query("INSERT INTO pauses VALUES ('sms', %s, 'person:op') RETURNING 1", NOON)
    day.query(
        "INSERT INTO change_events VALUES ('e1', 'appointment.booked', 'api', 'a1', %s, %s, '', '', 'notified', NULL),"
        " ('e2', 'appointment.booked', 'api', 'a1', %s, %s, '', '', 'ignored_stale', NULL) RETURNING 1",
        *[NOON] * 4,
    )
    day.query(
        "INSERT INTO ingest_runs (id, started_at, finished_at, status, first_day, last_day, counts)"
        " VALUES ('r1', %s, %s, 'held', %s, %s, %s), ('r2', %s, NULL, 'running', %s, %s, '{}') RETURNING 1",
        *(NOON - timedelta(hours=1), NOON, TODAY, TODAY, Jsonb({"rows": 7}), NOON, TODAY, TODAY),
    )
    found = overview(desk)
    assert (found["dead_letters_open"], found["changes_today"], found["paused"]) == (1, 1, ["sms"])
    assert found["last_load"] == {"finished_at": "2026-11-24T08:30:00Z", "status": "held", "counts": {"rows": 7}}


def test_an_overview_is_the_same_until_something_happens(desk: Desk, day: Hospital, clock: SetClock) -> None:
    first = desk.call_with(VIEWER, "GET", "/overview")
    clock.advance(seconds=29)
    known = {"If-None-Match": first.headers["ETag"]}
    again = desk.call_with(VIEWER, "GET", "/overview", headers=known)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert not first.headers["ETag"].startswith("W/")
    assert first.headers["Cache-Control"] == "no-cache, private"
    end(day, "anna", "sent")
    newer = desk.call_with(VIEWER, "GET", "/overview", headers=known)
    assert (newer.status_code, newer.get_json()["by_status"]) == (200, {"pending": 2, "sent": 2})


def test_a_day_that_is_over_and_one_to_come_can_be_asked_for(desk: Desk, day: Hospital, clock: SetClock) -> None:
    end(day, "anna", "sent")
    clock.advance(days=2)
    past = overview(desk, "?date=2026-11-24")
    assert (past["day"], past["patient_days_due"], past["patient_days_reached"]) == ("2026-11-24", 3, 1)
    assert overview(desk)["by_status"] == {}
    assert overview(desk, "?date=2199-12-31")["reached_share"] is None


def test_a_day_that_is_none_is_a_problem(desk: Desk) -> None:
    for query in ("date=1999-12-31", "date=2200-01-01", "date=today", "date=", "day=2026-11-24"):
        assert desk.call_with(VIEWER, "GET", f"/overview?{query}").status_code == 422, query


def test_nothing_personal_is_in_an_overview(desk: Desk, day: Hospital) -> None:
    text = desk.call_with(VIEWER, "GET", "/overview").text
    assert "script" not in text
    assert not [patient for patient in ("anna", "berta", "carl", "+49", "@example.org") if patient in text]


def test_who_may_read_neither_reports_nor_notifications_is_told_what_is_needed(desk: Desk) -> None:
    answer = desk.call("GET", "/overview", scopes={Scope.EVENTS_WRITE})
    assert answer.status_code == 403
    assert "reports:read" in answer.get_json()["detail"]


def test_however_many_ask_it_is_worked_out_once(desk: Desk, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carenotify.journeys.read_overview._GOOD_FOR_SECONDS", 60.0)
    looks = []
    look = app.overview_reader._look
    monkeypatch.setattr(app.overview_reader, "_look", lambda day: looks.append(day) or look(day))
    clients = [threading.Thread(target=app.overview_reader.read) for _ in range(3)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert overview(desk)["day"] == "2026-11-24"
    assert looks == [TODAY]


def test_a_database_that_is_away_is_told_soon_and_asked_by_one_alone(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.read_overview._GOOD_FOR_SECONDS", 60.0)
    monkeypatch.setattr("carenotify.journeys.read_overview._DATABASE_SECONDS", 0.3)
    app = build_app(make_settings("postgresql://nobody@127.0.0.1:1/none"), clock=clock)
    desk = Desk(app, create_app(app, person=TOKENS.get).test_client())
    answers = [desk.call_with(VIEWER, "GET", "/overview")]
    monkeypatch.setattr(app.overview_reader, "_look", lambda _: pytest.fail("it was asked again"))
    answers += [desk.call_with(VIEWER, "GET", "/overview") for _ in range(3)]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "2")}
    app.close()


def test_while_the_database_is_slow_no_more_than_three_of_eight_who_want_reports_wait_for_it(
    desk: Desk, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carenotify.journeys.read_overview._STATEMENT_SECONDS", 2)
    paths = ["/overview"] * 7 + ["/reports/delivery"]
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads, app.database.transaction() as transaction:
        transaction.execute("LOCK TABLE ingest_runs")
        calls = [threads.submit(desk.call_with, VIEWER, "GET", path) for path in paths]
        wait(calls, timeout=1.7)
        assert sum(call.done() for call in calls) >= 5
        answers = [call.result() for call in calls[:-1]]
    assert time.monotonic() - began < 5
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "2")}
    busy = {answer.get_json()["detail"] for answer in answers}
    assert busy == {
        "The database cannot be used just now.",
        "Too many reports or lists are being worked out just now; ask again in a few seconds.",
    }


@pytest.mark.parametrize("path", ["/overview", "/reports/delivery", "/reports/monthly", "/reports/coverage"])
def test_no_more_than_three_slow_reads_are_worked_out_at_a_time(desk: Desk, app: App, path: str) -> None:
    with app.slow_reads.one(), app.slow_reads.one(), app.slow_reads.one():
        answer = desk.call_with(VIEWER, "GET", path)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "2")
    assert answer.get_json()["detail"].startswith("Too many reports")
    assert desk.call_with(VIEWER, "GET", path).status_code == 200
