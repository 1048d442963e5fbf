"""What people answer: STOP holds for all who share the number, START takes back nothing but that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from desk import BASE, Desk
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from carenotify.app import App
from carenotify.config import Settings
from carenotify.domain.notification import Channel
from carenotify.domain.receipt import SuppressionReason
from carenotify.sandbox.twilio_callbacks import signature
from carenotify.storage import suppressions
from tests.integration.journeys.test_record_receipt import TODAY, suppressed
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, ScriptedProvider, SetClock, make_settings

TOKEN = "the account's auth token"
PUBLIC_URL = "https://hospital.example"
PATH = f"{BASE}/inbound/twilio"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(database_url, CARENOTIFY_PUBLIC_URL=PUBLIC_URL, CARENOTIFY_TWILIO_AUTH_TOKEN=TOKEN)


def reply(client: FlaskClient, body: str, *, sender: str = MOBILE, sid: str = "SM1", **more: str) -> TestResponse:
    told = {"MessageSid": sid, "From": sender, "To": "+4930123456", "Body": body, "NumMedia": "0"} | more
    headers = {"X-Twilio-Signature": signature(TOKEN, PUBLIC_URL + PATH, told)}
    return client.post(PATH, data=told, headers=headers)


def kept(app: App, hospital: Hospital) -> list[tuple[Any, ...]]:
    rows = hospital.query("SELECT id, channel, meaning, sealed_body, address_index FROM inbound_messages ORDER BY id")
    return [(*row[:3], app.sealer.open(row[3]), row[4] == app.sealer.index(MOBILE)) for row in rows]


def test_stop_suppresses_the_number_and_twilio_does_the_talking(
    app: App, client: FlaskClient, hospital: Hospital
) -> None:
    answer = reply(client, " Stop. ")
    assert (answer.status_code, answer.content_type) == (200, "text/xml; charset=utf-8")
    assert answer.text.endswith("<Response/>")
    assert suppressed(app, hospital) == {("mobile", "opted_out")}
    assert kept(app, hospital) == [("SM1", "sms", "stop", "", True)]


def test_a_reply_is_kept_sealed(client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "I am Anna and my knee hurts")
    stored = str(hospital.query("SELECT m::text FROM inbound_messages m"))
    assert "knee" not in stored
    assert MOBILE not in stored


@pytest.mark.parametrize("word", ["STOP", "start", "Help"])
def test_of_a_word_that_a_machine_heeds_only_its_meaning_is_kept(
    app: App, client: FlaskClient, hospital: Hospital, word: str
) -> None:
    reply(client, word)
    assert kept(app, hospital) == [("SM1", "sms", word.lower(), "", True)]


def test_what_a_person_has_to_read_is_kept_as_it_was_written(app: App, client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "I am late")
    assert kept(app, hospital) == [("SM1", "sms", "other", "I am late", True)]


def test_whatever_else_is_written_is_kept_and_changes_nothing(
    app: App, client: FlaskClient, hospital: Hospital
) -> None:
    reply(client, "Please do not stop")
    reply(client, "", sid="SM2", NumMedia="1")
    assert suppressed(app, hospital) == set()
    assert [(row[0], row[2]) for row in kept(app, hospital)] == [("SM1", "other"), ("SM2", "other")]


def test_a_reply_is_heeded_once_however_often_it_is_posted(app: App, client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "STOP", sid="SM1")
    reply(client, "START", sid="SM2")
    reply(client, "STOP", sid="SM1")  # Twilio posts the first one once more
    assert suppressed(app, hospital) == set()
    assert len(kept(app, hospital)) == 2


@pytest.mark.parametrize("word", ["START", "yes", "Unstop!"])
def test_start_lifts_only_what_stop_did(app: App, client: FlaskClient, hospital: Hospital, word: str) -> None:
    entries = [(MOBILE, SuppressionReason.OPTED_OUT), (MOBILE, SuppressionReason.REJECTED)]
    with app.database.transaction() as transaction:
        suppressions.add(transaction, entries, sealer=app.sealer, now=app.clock())
    reply(client, word)
    assert suppressed(app, hospital) == {("mobile", "rejected")}


def test_start_of_another_number_lifts_nothing(app: App, client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "STOP", sid="SM1")
    reply(client, "START", sid="SM2", sender="+4915100000000")
    assert suppressed(app, hospital) == {("mobile", "opted_out")}


def test_stop_by_whatsapp_is_a_stop_of_the_number(app: App, client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "STOP", sender=f"whatsapp:{MOBILE}")
    assert suppressed(app, hospital) == {("mobile", "opted_out")}
    assert kept(app, hospital)[0][1] == "whatsapp"


def test_a_messaging_services_own_words_are_heeded(app: App, client: FlaskClient, hospital: Hospital) -> None:
    reply(client, "Abmelden", OptOutType="STOP")
    assert suppressed(app, hospital) == {("mobile", "opted_out")}


@pytest.mark.parametrize("signed", ["", "no", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_nobody_else_can_say_stop_for_a_number(client: FlaskClient, hospital: Hospital, signed: str) -> None:
    told = {"MessageSid": "SM1", "From": MOBILE, "Body": "STOP"}
    answer = client.post(PATH, data=told, headers={"X-Twilio-Signature": signed})
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert hospital.query("SELECT count(*) FROM inbound_messages") == [(0,)]


# --- what follows, the next day ---------------------------------------------------------------


def reschedule(desk: Desk, appointment_id: str, patient_id: str) -> dict[str, Any]:
    """The hospital moves an appointment: an event over HTTP."""
    body = {
        "event_id": f"moved-{appointment_id}",
        "type": "appointment.rescheduled",
        "occurred_at": desk.app.clock().isoformat(),
        "appointment": {
            "id": appointment_id,
            "patient_id": patient_id,
            "start": (NOON + timedelta(days=5)).isoformat(),
            "venue": "Cardiology",
        },
    }
    answer = desk.call("POST", "/events", json=body)
    assert answer.status_code == 202
    told = answer.get_json()
    assert isinstance(told, dict)
    return told


def deliver(app: App, hospital: Hospital) -> dict[str, list[str]]:
    """Send everything that waits; gives who got something, by channel."""
    ids = [row[0] for row in hospital.query("SELECT id FROM notifications WHERE status IN ('pending', 'queued')")]
    taken, _ = app.deliverer.claim(ids)
    app.deliverer.record([app.deliverer.send(claim) for claim in taken])
    return {channel: [message.to for message in _taken(app, channel)] for channel in Channel}


def _taken(app: App, channel: Channel) -> list[Any]:
    [provider] = app.providers[channel]
    assert isinstance(provider, ScriptedProvider)
    return provider.taken


def family(hospital: Hospital) -> None:
    """A mother and a child with one telephone; the child's record has a mail address too."""
    hospital.add_patient("mother", mail=None)
    hospital.add_patient("child", mail=MAIL)
    hospital.add_appointment("a1", "mother")
    hospital.add_appointment("a2", "child")


def test_after_stop_the_events_of_the_next_day_bring_no_text_to_anybody_with_that_number(
    app: App, client: FlaskClient, desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    family(hospital)
    reply(client, "Stop")
    clock.advance(days=1)
    mother, child = reschedule(desk, "a1", "mother"), reschedule(desk, "a2", "child")

    assert (mother["outcome"], mother["notification_ids"]) == ("not_told", [])
    assert mother["reason"] == "opted_out"
    assert child["outcome"] == "notified"
    assert deliver(app, hospital) == {"sms": [], "email": [MAIL]}


def test_what_waits_when_stop_comes_is_not_sent(app: App, client: FlaskClient, desk: Desk, hospital: Hospital) -> None:
    family(hospital)
    reschedule(desk, "a1", "mother")
    [identity] = reschedule(desk, "a2", "child")["notification_ids"][:1]
    assert hospital.query("SELECT channel FROM notifications WHERE id = %s", UUID(identity)) == [("sms",)]
    reply(client, "Stop")

    assert deliver(app, hospital)["sms"] == []
    ended = hospital.query("SELECT DISTINCT status, reason FROM notifications WHERE channel = 'sms'")
    assert ended == [("suppressed", "no_usable_address")]


def test_reminders_that_are_planned_after_stop_go_another_way(
    app: App, client: FlaskClient, hospital: Hospital
) -> None:
    family(hospital)
    reply(client, "Stop")
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT patient_id, channel FROM notifications") == [("child", "email")]


def test_after_start_the_number_gets_texts_again(app: App, client: FlaskClient, desk: Desk, hospital: Hospital) -> None:
    family(hospital)
    reply(client, "Stop", sid="SM1")
    reply(client, "Start", sid="SM2")
    assert reschedule(desk, "a1", "mother")["outcome"] == "notified"
    assert deliver(app, hospital)["sms"] == [MOBILE]
