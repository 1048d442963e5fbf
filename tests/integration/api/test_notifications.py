"""Notifications through the surface: asked for once, told as far as the caller may know, and stopped in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.api import create_app
from carenotify.app import App
from carenotify.domain.access import Scope
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, SetClock, make_unreadable, wait_for

DATA = {"subject": "Your results", "text": "They can be collected from Monday."}


def wish(**changes: Any) -> dict[str, Any]:
    return {"type": "message", "user": "anna", "data": DATA} | changes


@pytest.fixture
def ask(desk: Desk) -> Callable[..., Any]:
    token = desk.key(Scope.NOTIFICATIONS_WRITE)

    def send(key: str | None = "k1", **changes: Any) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return desk.call_with(token, "POST", "/notifications", json=wish(**changes), headers=headers)

    return send


@pytest.fixture
def anna(hospital: Hospital) -> Hospital:
    hospital.add_patient()
    return hospital


def rows(hospital: Hospital, columns: str) -> list[tuple[Any, ...]]:
    return hospital.query(f"SELECT {columns} FROM notifications ORDER BY id")


def test_a_message_is_stored_for_now(ask: Callable[..., Any], anna: Hospital) -> None:
    answer = ask(channels=["sms", "email", "sms"])
    assert answer.status_code == 202
    found = rows(anna, "id::text, kind, lane, channel, status, due_at, expires_at")
    assert answer.get_json() == {"notification_ids": [row[0] for row in found], "outcome": "accepted"}
    assert {row[3] for row in found} == {"sms", "email"}
    assert {row[1:3] + row[4:] for row in found} == {("message", "medium", "pending", NOON, NOON + timedelta(days=1))}


def test_time_channel_and_priority_are_the_callers(ask: Callable[..., Any], anna: Hospital) -> None:
    later = NOON + timedelta(days=2)
    assert ask(schedule_at=later.isoformat(), channels=["email"], priority="low").status_code == 202
    assert rows(anna, "channel, lane, due_at, expires_at") == [("email", "low", later, later + timedelta(days=1))]


def test_a_time_that_is_over_means_now(ask: Callable[..., Any], anna: Hospital) -> None:
    ask(schedule_at="2026-11-23T09:00:00+01:00", channels=["sms"])
    assert rows(anna, "due_at") == [(NOON,)]


def test_the_same_request_again_gets_the_same_answer(ask: Callable[..., Any], anna: Hospital) -> None:
    first = ask().get_json()
    count = len(rows(anna, "id"))
    assert [ask().get_json() for _ in range(3)] == [first] * 3
    assert len(rows(anna, "id")) == count
    assert ask(key="k2").get_json()["notification_ids"] != first["notification_ids"]


def test_the_same_request_at_the_same_moment_is_taken_in_once(desk: Desk, app: App, anna: Hospital) -> None:
    token, flask, together = desk.key(Scope.NOTIFICATIONS_WRITE), desk.client.application, threading.Barrier(8)

    def send(_: int) -> tuple[int, Any]:
        own = Desk(app, flask.test_client())
        together.wait()
        answer = own.call_with(token, "POST", "/notifications", json=wish(), headers={"Idempotency-Key": "k"})
        return answer.status_code, answer.get_json()

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 202
    assert [row[0] for row in rows(anna, "id::text")] == answers[0][1]["notification_ids"]


def test_a_key_is_its_callers_own_and_stands_for_one_body(ask: Callable[..., Any], desk: Desk, anna: Hospital) -> None:
    ask()
    count = len(rows(anna, "id"))
    assert ask(data=DATA | {"text": "Another text"}).status_code == 422
    assert len(rows(anna, "id")) == count
    other = desk.call("POST", "/notifications", json=wish(data=DATA), headers={"Idempotency-Key": "k1"})
    assert other.status_code == 202
    assert len(rows(anna, "id")) == 2 * count


@pytest.mark.parametrize(
    ("patient", "changes", "reason"),
    [
        ({"deceased": True}, {}, "deceased"),
        ({"phone": None, "mail": None}, {}, "no_contact"),
        ({"phone": None}, {"channels": ["sms"]}, "no_usable_address"),
    ],
)
def test_who_cannot_be_told_is_not_and_the_caller_learns_why(
    ask: Callable[..., Any], hospital: Hospital, patient: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    hospital.add_patient(**patient)
    for _ in range(2):
        answer = ask(**changes)
        assert answer.status_code == 202
        assert answer.get_json() == {"notification_ids": [], "outcome": "not_told", "reason": reason}


def test_a_patient_whose_record_cannot_be_opened_is_not_told(ask: Callable[..., Any], hospital: Hospital) -> None:
    hospital.add_patient()
    make_unreadable(hospital, "anna")
    answer = ask()
    assert (answer.status_code, answer.get_json()["reason"]) == (202, "unreadable")


@pytest.mark.parametrize(
    ("wishes", "channels", "told"),
    [
        ({"opted_out_channels": ["sms"]}, ["sms"], []),
        ({"opted_out_channels": ["sms"]}, ["sms", "email"], ["email"]),
        ({"opted_out_channels": ["sms"]}, None, ["email"]),
        ({"opted_out_kinds": ["message"]}, None, []),
        ({"opted_out_kinds": ["*"]}, ["email"], []),
        ({"channels": ["email"]}, None, ["email"]),
        ({"channels": ["email"]}, ["sms"], ["sms"]),
    ],
)
def test_an_opt_out_is_stronger_than_a_wish(
    ask: Callable[..., Any], anna: Hospital, wishes: dict[str, Any], channels: list[str] | None, told: list[str]
) -> None:
    anna.set_preferences(**wishes)
    answer = ask(**({"channels": channels} if channels else {})).get_json()
    assert answer.get("reason") == (None if told else "opted_out")
    assert [row[0] for row in rows(anna, "channel")] == told


def test_a_message_is_published_at_once_and_a_later_one_is_not(broker_app: App) -> None:
    hospital = Hospital(broker_app.database)
    hospital.add_patient()
    desk = Desk(broker_app, create_app(broker_app, person=None).test_client())
    later = wish(schedule_at=(NOON + timedelta(hours=1)).isoformat(), channels=["email"])
    desk.call("POST", "/notifications", json=later, headers={"Idempotency-Key": "later"})
    desk.call("POST", "/notifications", json=wish(channels=["sms"]), headers={"Idempotency-Key": "now"})
    wait_for(lambda: hospital.statuses()["queued"] == 1)
    assert rows(hospital, "channel, status") == [("email", "pending"), ("sms", "queued")]


# --- reading ---------------------------------------------------------------------------------


@pytest.fixture
def moved(anna: Hospital, app: App, desk: Desk, clock: SetClock) -> Hospital:
    """A reminder by each channel, superseded by a move of its appointment."""
    anna.add_appointment()
    app.reminder_planner.plan(NOON.date())
    clock.advance(minutes=10)
    body = {
        "event_id": "e1",
        "type": "appointment.rescheduled",
        "occurred_at": "2026-11-24T09:31:00+01:00",
        "appointment": {"id": "a1", "patient_id": "anna", "start": "2026-11-30T10:00:00+01:00", "venue": "Cardiology"},
    }
    assert desk.call("POST", "/events", json=body).status_code == 202
    return anna


def test_a_story_names_cause_and_successor_and_no_address(moved: Hospital, desk: Desk) -> None:
    by_kind: dict[str, list[str]] = {"reminder": [], "rescheduled": []}
    for kind, notification_id in rows(moved, "kind, id::text"):
        by_kind[kind].append(notification_id)
    answer = desk.call("GET", f"/notifications/{by_kind['reminder'][0]}", scopes={Scope.NOTIFICATIONS_READ})
    story = answer.get_json()
    assert (story["status"], story["reason"], story["event_id"]) == ("superseded", "appointment_changed", None)
    assert (story["appointment_ids"], story["superseded_by"]) == (["a1"], by_kind["rescheduled"])
    assert (story["created_at"], story["finished_at"]) == ("2026-11-24T08:30:00Z", "2026-11-24T08:40:00Z")
    assert story["data"]["given_name"] == "Anna"
    assert MOBILE not in answer.text
    assert MAIL not in answer.text
    successor = desk.call("GET", f"/notifications/{by_kind['rescheduled'][0]}").get_json()
    assert (successor["status"], successor["event_id"], successor["superseded_by"]) == ("pending", "e1", [])
    assert (successor["kind"], successor["priority"], successor["attempts"]) == ("rescheduled", "high", 0)


def test_a_story_names_what_took_its_place_and_whose_place_it_took(desk: Desk, app: App, anna: Hospital) -> None:
    anna.set_preferences(channels=["sms"])
    anna.add_appointment()
    app.reminder_planner.plan(NOON.date())
    anna.query("UPDATE notifications SET status = 'failed', reason = 'wording', finished_at = now() RETURNING 1")
    app.fallback_sweeper.sweep()
    [(failed, second)] = anna.query("SELECT fallback_of::text, id::text FROM notifications WHERE channel = 'email'")
    told = [desk.call("GET", f"/notifications/{each}").get_json() for each in (failed, second)]
    assert [(one["fallback_of"], one["fallback_id"]) for one in told] == [(None, second), (failed, None)]


def test_what_a_message_says_is_masked_for_who_may_not_read_it(moved: Hospital, desk: Desk) -> None:
    [(notification_id,)] = moved.query("SELECT id::text FROM notifications WHERE kind = 'rescheduled' LIMIT 1")
    masked = desk.call("GET", f"/notifications/{notification_id}", scopes={Scope.NOTIFICATIONS_READ_MASKED})
    line = {"start": "•••", "venue": "•••"}
    assert masked.get_json()["data"] == {"given_name": "•••", "old": line, "new": line}
    whole = desk.call("GET", f"/notifications/{notification_id}").get_json()
    assert whole["data"]["new"] == {"start": "2026-11-30T10:00:00+01:00", "venue": "Cardiology"}
    assert (masked.get_json()["recipient"], whole["recipient"]) == ("+49 ••• 678", MOBILE)
    hidden = {"data": None, "recipient": None}
    assert {**masked.get_json(), **hidden} == {**whole, **hidden}


def test_the_attempts_are_told_in_their_order(anna: Hospital, ask: Callable[..., Any], desk: Desk) -> None:
    [notification_id] = ask(channels=["sms"]).get_json()["notification_ids"]
    for attempt, outcome in enumerate(["timed_out", "sent"], start=1):
        anna.query(
            """
            INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, code, finished_at)
            VALUES (%s, %s, 'twilio', %s, NULL, %s) RETURNING id
            """,
            notification_id,
            attempt,
            outcome,
            NOON,
        )
    story = desk.call("GET", f"/notifications/{notification_id}").get_json()["story"]
    finished = {"provider": "twilio", "code": None, "finished_at": "2026-11-24T08:30:00Z"}
    assert story == [{"attempt": 1, "outcome": "timed_out"} | finished, {"attempt": 2, "outcome": "sent"} | finished]


def test_pages_bring_everything_once_newest_first(anna: Hospital, ask: Callable[..., Any], desk: Desk) -> None:
    made = [ask(key=f"k{number}", channels=["sms"]).get_json()["notification_ids"][0] for number in range(7)]
    found, query = [], "limit=3"
    for _ in range(3):
        page = desk.call("GET", f"/notifications?{query}").get_json()
        found += [each["id"] for each in page["notifications"]]
        query = f"limit=3&cursor={page['cursor']}"
    assert page["cursor"] is None
    assert found == made[::-1]
    exactly = desk.call("GET", "/notifications?limit=7").get_json()
    assert (len(exactly["notifications"]), exactly["cursor"]) == (7, None)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("patient_id=anna", 4),
        ("patient_id=ben", 0),
        ("status=superseded", 2),
        ("status=superseded&channel=sms", 1),
        ("channel=email", 2),
        ("from=2026-11-24T08:40:00Z", 2),
        ("to=2026-11-24T08:40:00Z", 2),
        ("to=2026-11-24T09:40:00+01:00", 2),
        ("to=2026-11-24T09:40:00%2B01:00", 2),
        ("from=2026-11-24T09:30:00%2B01:00&to=2026-11-24T08:30:00.001Z", 2),
        ("cursor=00000000-0000-7000-8000-000000000000", 0),
    ],
)
def test_a_search_keeps_to_its_conditions(moved: Hospital, desk: Desk, query: str, count: int) -> None:
    total = len(rows(moved, "id"))
    found = desk.call("GET", f"/notifications?{query}", scopes={Scope.NOTIFICATIONS_READ_MASKED}).get_json()
    assert total == 4
    assert len(found["notifications"]) == count


# --- cancelling ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "queued"])
def test_what_waits_can_be_cancelled_and_who_did_is_noted(
    ask: Callable[..., Any], anna: Hospital, desk: Desk, status: str
) -> None:
    [notification_id] = ask(channels=["sms"]).get_json()["notification_ids"]
    anna.query("UPDATE notifications SET status = %s RETURNING id", status)
    assert desk.call_with("op.to.ken", "DELETE", f"/notifications/{notification_id}").status_code == 204
    assert rows(anna, "status, reason, finished_at") == [("cancelled", "cancelled_by_request", NOON)]
    noted = anna.query("SELECT actor, action, subject FROM audit_log WHERE action LIKE 'notification%%'")
    assert noted == [("person:op", "notification.cancelled", notification_id)]


@pytest.mark.parametrize("status", ["sending", "sent", "delivered", "failed", "expired", "superseded", "cancelled"])
def test_it_can_be_too_late_to_cancel(ask: Callable[..., Any], anna: Hospital, desk: Desk, status: str) -> None:
    [notification_id] = ask(channels=["sms"]).get_json()["notification_ids"]
    anna.query("UPDATE notifications SET status = %s RETURNING id", status)
    answer = desk.call("DELETE", f"/notifications/{notification_id}")
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")
    assert status in answer.get_json()["detail"]
    assert rows(anna, "status") == [(status,)]
    assert anna.query("SELECT count(*) FROM audit_log WHERE action LIKE 'notification%%'") == [(0,)]
