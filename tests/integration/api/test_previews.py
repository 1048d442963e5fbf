"""What a request would send, seen before it is sent; nothing is stored by looking."""

from __future__ import annotations

from typing import Any

import pytest
from desk import Desk

from carenotify.app import App
from carenotify.domain.access import Scope
from carenotify.domain.notification import Channel
from carenotify.domain.patient import ContactPoint
from carenotify.journeys.pace_sending import UNPACED
from tests.integration.ward import MAIL, MOBILE, Hospital, ScriptedProvider, make_unreadable

OP = "op.to.ken"
TOLD = {"subject": "Your results", "text": "They can be collected from Monday."}


def preview(desk: Desk, **more: Any) -> dict[str, Any]:
    body = {"type": "message", "user": "anna", "data": TOLD} | more
    answer = desk.call_with(OP, "POST", "/notifications/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_what_can_be_asked_for_is_listed_with_what_it_needs(desk: Desk) -> None:
    (kind,) = desk.call_with(OP, "GET", "/kinds").get_json()
    assert (kind["type"], kind["title"], kind["channels"]) == ("message", "Message", ["sms", "email"])
    assert kind["data_schema"]["required"] == ["subject", "text"]
    assert kind["data_schema"]["properties"]["text"]["maxLength"] == 1000


def test_each_channel_is_shown_as_it_would_be_sent(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient(language="de-AT")
    found = preview(desk)
    assert found["reason"] is None
    sms, mail = sorted(found["messages"], key=lambda message: message["channel"], reverse=True)
    assert sms == {
        "channel": "sms",
        "language": "de",
        "subject": None,
        "text": "St. Mary: They can be collected from Monday.",
        "sms": {"alphabet": "GSM-7", "characters": 44, "segments": 1},
    }
    assert (mail["channel"], mail["subject"], mail["sms"]) == ("email", "Your results", None)
    assert "collected from Monday" in mail["html"]


def test_it_says_to_the_letter_what_the_provider_is_given(desk: Desk, app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    data = {"subject": "Ihr Befund", "text": "Grüße, „alles gut“ 😀 <b>&amp;</b> {{ hospital }}\nTel. 030"}
    previewed = {message["channel"]: message for message in preview(desk, data=data)["messages"]}
    body = {"type": "message", "user": "anna", "data": data}
    made = desk.call_with(OP, "POST", "/notifications", json=body, headers={"Idempotency-Key": "k"})
    assert made.status_code == 202
    for channel in Channel:
        app.due_sender.send_due(channel, UNPACED)
        (provider,) = app.providers[channel]
        assert isinstance(provider, ScriptedProvider)
        (sent,) = provider.taken
        shown = previewed[channel]
        assert (shown["subject"], shown["text"], shown.get("html")) == (sent.subject, sent.text, sent.html)


def test_a_long_text_says_how_many_segments_it_takes(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    (sms,) = preview(desk, channels=["sms"], data={"subject": "s", "text": "ж" * 100})["messages"]
    assert sms["sms"] == {"alphabet": "UCS-2", "characters": 110, "segments": 2}


def test_looking_stores_nothing_and_sends_nothing(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    for _ in range(2):
        preview(desk)
    for table in ("notifications", "idempotency_keys", "audit_log"):
        assert hospital.query(f"SELECT count(*) FROM {table}") == [(0,)], table


@pytest.mark.parametrize(
    ("patient", "preferences", "wish", "reason"),
    [
        ({"deceased": True}, {}, {}, "deceased"),
        ({}, {"opted_out_kinds": ["message"]}, {}, "opted_out"),
        ({}, {"opted_out_channels": ["sms"]}, {"channels": ["sms"]}, "opted_out"),
        ({"contacts": []}, {}, {}, "no_contact"),
        ({"contacts": [ContactPoint("phone", MOBILE, use="old", textable=True)]}, {}, {}, "no_usable_address"),
        ({"phone": None}, {}, {"channels": ["sms"]}, "no_usable_address"),
    ],
)
def test_nobody_is_told_for_the_reason_that_a_request_would_give(
    desk: Desk, hospital: Hospital, patient: Any, preferences: Any, wish: Any, reason: str
) -> None:
    hospital.add_patient(**patient)
    if preferences:
        hospital.set_preferences(**preferences)
    assert preview(desk, **wish) == {"reason": reason, "messages": []}
    body = {"type": "message", "user": "anna", "data": TOLD} | wish
    asked = desk.call_with(OP, "POST", "/notifications", json=body, headers={"Idempotency-Key": "k"})
    assert asked.get_json() == {"notification_ids": [], "outcome": "not_told", "reason": reason}


def test_a_record_that_cannot_be_decrypted_says_so(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    make_unreadable(hospital, "anna")
    assert preview(desk)["reason"] == "unreadable"


def test_what_could_not_be_asked_for_cannot_be_previewed(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    for wish, field in (
        ({"user": "nobody"}, "user"),
        ({"type": "reminder"}, "type"),
        ({"data": {"subject": "s"}}, "data.text"),
        ({"data": TOLD | {"given_name": "x"}}, "data.given_name"),
        ({"schedule_at": "2028-11-24T09:00:00+01:00"}, "schedule_at"),
        ({"channels": []}, "channels"),
        ({"channels": ["pigeon"]}, "channels.0"),
    ):
        body = {"type": "message", "user": "anna", "data": TOLD} | wish
        answer = desk.call_with(OP, "POST", "/notifications/preview", json=body)
        assert (answer.status_code, [each["field"] for each in answer.get_json()["errors"]]) == (422, [field])


def test_a_wording_that_is_not_there_is_told_without_its_data(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.query("DELETE FROM template_versions WHERE code = 'message' RETURNING 1")
    body = {"type": "message", "user": "anna", "data": TOLD}
    answer = desk.call_with(OP, "POST", "/notifications/preview", json=body)
    assert answer.status_code == 409
    assert "run: python -m carenotify migrate" in answer.get_json()["detail"]
    assert "collected" not in answer.text


def test_addresses_are_in_no_preview(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    body = {"type": "message", "user": "anna", "data": TOLD}
    text = desk.call_with(OP, "POST", "/notifications/preview", json=body).text
    assert not [address for address in (MOBILE, MAIL) if address in text]


def test_only_who_may_send_may_look(desk: Desk) -> None:
    for method, path in (("GET", "/kinds"), ("POST", "/notifications/preview")):
        answer = desk.call(method, path, scopes={Scope.NOTIFICATIONS_READ}, json={})
        assert answer.status_code == 403
        assert "notifications:write" in answer.get_json()["detail"]
