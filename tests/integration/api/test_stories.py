"""Whom a message went to and what people did to it: shown to those who may know, and noted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.app import App
from carenotify.domain.notification import Channel
from carenotify.journeys.pace_sending import UNPACED
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, SetClock, make_unreadable

TODAY = NOON.date()


@pytest.fixture
def sms(app: App, hospital: Hospital) -> str:
    """The id of Anna's SMS of two, planned and not sent yet."""
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    return id_of(hospital, "sms")


def id_of(ward: Hospital, channel: str) -> str:
    ((found,),) = ward.query("SELECT id FROM notifications WHERE channel = %s", channel)
    return str(found)


def story(desk: Desk, notification_id: str, *, token: str = "user.to.ken") -> dict[str, Any]:
    answer = desk.call_with(token, "GET", f"/notifications/{notification_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def readings(ward: Hospital) -> list[tuple[Any, ...]]:
    return ward.query("SELECT actor, subject FROM audit_log WHERE action = 'notification.address_read' ORDER BY id")


def test_before_it_is_sent_the_recipient_is_who_it_would_go_to(desk: Desk, hospital: Hospital, sms: str) -> None:
    assert story(desk, sms)["recipient"] == MOBILE
    assert story(desk, id_of(hospital, "email"))["recipient"] == MAIL


def test_afterwards_it_is_where_it_went_also_when_another_address_is_better_now(
    desk: Desk, app: App, hospital: Hospital, sms: str
) -> None:
    for channel in Channel:
        app.due_sender.send_due(channel, UNPACED)
    assert story(desk, sms)["recipient"] == MOBILE
    hospital.query("DELETE FROM patients RETURNING 1")
    hospital.add_patient(phone="+4915199999999")
    assert story(desk, sms)["recipient"] is None  # the number it went to is nobody's any more
    assert story(desk, id_of(hospital, "email"))["recipient"] == MAIL


def test_viewers_see_it_masked_and_nobody_notes_that(desk: Desk, hospital: Hospital, sms: str) -> None:
    assert story(desk, sms, token="viewer.to.ken")["recipient"] == "+49 ••• 678"
    masked = desk.call_with("viewer.to.ken", "GET", f"/notifications/{id_of(hospital, 'email')}")
    assert masked.get_json()["recipient"] == "a•••@example.org"
    assert not [address for address in (MOBILE, MAIL) if address in masked.text]
    assert readings(hospital) == []


def test_who_reads_an_address_is_noted_once_a_reading(
    desk: Desk, hospital: Hospital, sms: str, clock: SetClock
) -> None:
    for _ in range(3):
        story(desk, sms)
        clock.advance(minutes=3)
    assert readings(hospital) == [("person:user", sms)]
    story(desk, sms, token="op.to.ken")
    clock.advance(minutes=5)
    story(desk, sms)
    assert readings(hospital) == [("person:user", sms), ("person:op", sms), ("person:user", sms)]


def test_a_list_holds_no_recipients(desk: Desk, hospital: Hospital, sms: str) -> None:
    listed = desk.call_with("user.to.ken", "GET", "/notifications")
    assert MOBILE not in listed.text
    assert "recipient" not in listed.get_json()["notifications"][0]
    assert readings(hospital) == []


def test_a_recipient_who_is_not_known_is_null(desk: Desk, hospital: Hospital, sms: str) -> None:
    make_unreadable(hospital, "anna")
    assert story(desk, sms)["recipient"] is None
    hospital.query("DELETE FROM patients RETURNING 1")
    assert story(desk, sms)["recipient"] is None
    hospital.add_patient(contacts=[])
    assert story(desk, sms)["recipient"] is None
    assert readings(hospital) == []


def test_what_people_did_to_it_is_told_and_not_who_looked(
    desk: Desk, app: App, hospital: Hospital, sms: str, clock: SetClock
) -> None:
    story(desk, sms)
    assert desk.call_with("op.to.ken", "DELETE", f"/notifications/{sms}").status_code == 204
    assert story(desk, sms)["changes"] == [
        {"happened_at": "2026-11-24T08:30:00Z", "actor": "person:op", "action": "notification.cancelled"}
    ]
    mail = id_of(hospital, "email")
    hospital.query("UPDATE notifications SET status = 'failed' WHERE id = %s RETURNING 1", mail)
    ((letter,),) = hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, attempts, created_at) VALUES (%s, 'carrier', 1, %s)"
        " RETURNING id",
        mail,
        NOON,
    )
    clock.advance(minutes=1)
    assert desk.call_with("op.to.ken", "POST", f"/dead-letters/{letter}/replay").status_code == 200
    assert story(desk, mail)["changes"] == [
        {"happened_at": "2026-11-24T08:31:00Z", "actor": "person:op", "action": "dead_letter.replayed"}
    ]


def test_messages_are_found_by_what_they_are_about(desk: Desk, app: App, hospital: Hospital, sms: str) -> None:
    hospital.add_patient("berta", mail=None)
    hospital.add_appointment("b1", "berta")
    app.reminder_planner.plan(TODAY)
    hospital.query("UPDATE notifications SET kind = 'booked' WHERE patient_id = 'berta' RETURNING 1")
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'carrier' WHERE channel = 'email' RETURNING 1")

    def found(query: str) -> list[tuple[str, str]]:
        listed = desk.call_with("viewer.to.ken", "GET", f"/notifications?{query}").get_json()["notifications"]
        return [(each["patient_id"], each["channel"]) for each in listed]

    assert found("appointment_id=b1") == found("kind=booked") == [("berta", "sms")]
    assert found("reason=carrier") == found("appointment_id=a1&reason=carrier&status=failed") == [("anna", "email")]
    assert found("appointment_id=b1&reason=carrier") == found("kind=cancelled") == found("reason=wording") == []
    assert len(found("kind=reminder")) == 2


def test_spans_of_time_find_what_was_made_in_them(
    desk: Desk, app: App, hospital: Hospital, sms: str, clock: SetClock
) -> None:
    clock.advance(days=3)
    hospital.add_appointment("a2", start=clock.now + timedelta(days=3, hours=2))
    app.reminder_planner.plan(clock.now.date())

    def found(query: str) -> int:
        listed = desk.call_with("viewer.to.ken", "GET", f"/notifications?{query}").get_json()["notifications"]
        return len(listed)

    assert found("from=2026-11-24T00:00:00Z&to=2026-11-25T00:00:00Z") == 2
    assert found("from=2026-11-25T00:00:00Z") == found("to=2026-11-25T00:00:00Z") == 2
    assert found("from=2026-11-23T00:00:00Z&to=2026-11-30T00:00:00Z") == found("from=2020-01-01T00:00:00Z") == 4
    assert found("from=2026-11-25T00:00:00Z&to=2026-11-26T00:00:00Z") == found("from=2027-01-01T00:00:00Z") == 0
    assert found("to=2020-01-01T00:00:00Z") == 0
    assert found("from=2026-11-27T08:30:00Z&to=2026-11-24T08:30:00Z") == 0


def test_a_condition_that_is_none_is_a_problem(desk: Desk) -> None:
    for query in ("kind=pigeon", "reason=Has%20Spaces", "reason=%27%20OR%201=1", "appointment_id=a%20b", "kind="):
        assert desk.call_with("viewer.to.ken", "GET", f"/notifications?{query}").status_code == 422, query
