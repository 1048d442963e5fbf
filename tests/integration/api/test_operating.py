"""Pause, resume, reports and keys: what a person or a system does through the surface."""

from __future__ import annotations

from datetime import timedelta

import pytest
from desk import BASE, Desk
from flask.testing import FlaskClient

from carenotify.api import create_app
from carenotify.app import App
from carenotify.domain.access import Scope
from carenotify.domain.notification import Channel
from carenotify.storage.pauses import paused_channels
from tests.integration.ward import NOON, Hospital


def paused(app: App) -> set[Channel]:
    with app.database.transaction() as transaction:
        return paused_channels(transaction)


def test_pausing_and_resuming_reach_what_the_workers_read(desk: Desk, app: App) -> None:
    key = desk.key(Scope.PAUSE_WRITE)
    answer = desk.call_with(key, "POST", "/pause", json={"channel": "sms"})
    assert answer.get_json() == {"paused": ["sms"]}
    assert paused(app) == {Channel.SMS}
    assert desk.call_with(key, "POST", "/pause", json={"channel": None}).get_json() == {"paused": ["email", "sms"]}
    assert desk.call_with(key, "POST", "/resume", json={"channel": "sms"}).get_json() == {"paused": ["email", "sms"]}
    assert desk.call_with(key, "POST", "/resume", json={"channel": None}).get_json() == {"paused": []}
    assert paused(app) == set()


def test_who_paused_is_in_the_audit_log(desk: Desk, hospital: Hospital) -> None:
    desk.call_with("op.to.ken", "POST", "/pause", json={"channel": None})
    desk.call_with("op.to.ken", "POST", "/resume", json={"channel": None})
    assert hospital.query("SELECT happened_at, actor, action, subject FROM audit_log ORDER BY id") == [
        (NOON, "person:op", "sending.paused", "*"),
        (NOON, "person:op", "sending.resumed", "*"),
    ]
    assert desk.call_with("op.to.ken", "POST", "/pause", json={"channel": "sms"}).status_code == 200
    assert hospital.query("SELECT paused_by FROM pauses") == [("person:op",)]


def test_a_report_counts_and_names_nobody_to_those_who_may_not_read(desk: Desk, app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(NOON.date())
    ids = {str(row[0]) for row in hospital.query("SELECT id FROM notifications")}
    counted = desk.call("GET", f"/reports/delivery?date={NOON.date()}", scopes={Scope.REPORTS_READ})
    report = counted.get_json()
    assert (report["day"], report["appointments_due"], report["notifications"]) == ("2026-11-24", 1, len(ids))
    assert report["reached_share"] == 0.0
    assert report["notification_ids"] is None
    assert not any(each in counted.text for each in ids)
    full = desk.call("GET", "/reports/delivery", scopes={Scope.NOTIFICATIONS_READ}).get_json()
    assert full["notification_ids"].keys() == ids
    assert {**full, "notification_ids": None} == report


def test_providers_are_told_in_their_order_with_what_is_down(desk: Desk, hospital: Hospital) -> None:
    hospital.query(
        "INSERT INTO provider_states VALUES ('twilio', 'open', 5, 0, %s, %s, '20003') RETURNING 1",
        NOON + timedelta(seconds=60),
        NOON,
    )
    told = desk.call("GET", "/providers", scopes={Scope.NOTIFICATIONS_READ_MASKED}).get_json()["providers"]
    assert told == [
        {"channel": "email", "provider": "smtp", "state": "closed", "since": None, "retry_at": None, "last_code": None},
        {
            "channel": "sms",
            "provider": "twilio",
            "state": "open",
            "since": "2026-11-24T08:30:00Z",
            "retry_at": "2026-11-24T08:31:00Z",
            "last_code": "20003",
        },
    ]


def test_a_made_key_is_told_once_works_and_ends(desk: Desk) -> None:
    wanted = {"name": " Lab system ", "scopes": ["reports:read", "reports:read"]}
    made = desk.call("POST", "/keys", json=wanted)
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    new = made.get_json()
    assert (new["name"], new["scopes"]) == ("Lab system", ["reports:read"])
    assert desk.call_with(new["key"], "GET", "/reports/delivery").status_code == 200
    listing = desk.call("GET", "/keys")
    assert new["key"] not in listing.text
    (shown,) = [key for key in listing.get_json()["keys"] if key["id"] == new["id"]]
    assert (shown["last_used_at"], shown["revoked_at"]) == ("2026-11-24T08:30:00Z", None)
    for _ in range(2):
        assert desk.call("DELETE", f"/keys/{new['id']}").status_code == 204
    elsewhere = Desk(desk.app, create_app(desk.app, person=None).test_client())  # which has not met the key
    assert elsewhere.call_with(new["key"], "GET", "/reports/delivery").status_code == 401


def test_health_and_readiness_say_how_things_are(client: FlaskClient) -> None:
    assert client.get(f"{BASE}/health").get_json() == {"status": "ok"}
    assert client.get(f"{BASE}/ready").get_json() == {"database": True, "broker": False}


def test_readiness_sees_a_broker(broker_app: App) -> None:
    client = create_app(broker_app, person=None).test_client()
    assert client.get(f"{BASE}/ready").get_json() == {"database": True, "broker": True}


@pytest.mark.parametrize("path", ["/keys", "/reports/delivery", "/health", "/openapi.json"])
def test_answers_are_kept_by_no_cache(desk: Desk, path: str) -> None:
    headers = desk.call("GET", path).headers
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
