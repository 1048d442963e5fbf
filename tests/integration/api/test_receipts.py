"""Receipts over HTTP, signed as Twilio and Amazon sign them."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import UUID, uuid4

import pytest
from desk import BASE, Desk
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from carenotify.app import App
from carenotify.channels.email.sns_messages import SnsGate
from carenotify.config import Settings
from carenotify.sandbox.twilio_callbacks import signature
from tests.integration.journeys.test_record_receipt import TODAY, claim, send, suppressed
from tests.integration.ward import MAIL, MOBILE, Hospital, make_settings
from tests.unit.channels.amazon import (
    CONFIRM_URL,
    TOPIC,
    Web,
    bounce,
    complaint,
    confirmation,
    event,
    notification,
    sign,
)

TOKEN = "the account's auth token"
PUBLIC_URL = "https://hospital.example"
PATH = f"{BASE}/receipts/twilio"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(
        database_url,
        CARENOTIFY_PUBLIC_URL=PUBLIC_URL + "/",
        CARENOTIFY_TWILIO_AUTH_TOKEN=TOKEN,
        CARENOTIFY_SES_TOPIC_ARNS=TOPIC,
        CARENOTIFY_API_REQUESTS_PER_MINUTE_PER_ADDRESS="20",
    )


@pytest.fixture
def web(app: App) -> Web:
    """What Amazon's hosts answer to us."""
    web = Web()
    app.__dict__["sns_gate"] = SnsGate(app.settings.ses_topic_arns, fetch=web)
    return web


def planned(app: App, hospital: Hospital, **addresses: Any) -> UUID:
    hospital.add_patient(**addresses)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    [(identity,)] = hospital.query("SELECT id FROM notifications")
    assert isinstance(identity, UUID)
    return identity


@pytest.fixture
def text(app: App, hospital: Hospital) -> UUID:
    """A reminder by SMS that is due."""
    return planned(app, hospital, mail=None)


@pytest.fixture
def mail(app: App, hospital: Hospital) -> UUID:
    """A reminder by e-mail that is due."""
    return planned(app, hospital, phone=None)


def form(identity: UUID, status: str, **more: str) -> dict[str, str]:
    told = {"AccountSid": "AC1", "From": "+4930123456", "To": MOBILE, "MessageSid": f"id-{identity}"}
    return told | {"SmsSid": f"id-{identity}", "MessageStatus": status, "SmsStatus": status} | more


def call(client: FlaskClient, url: str, told: dict[str, str], **more: Any) -> TestResponse:
    """A call as Twilio makes it, through a proxy that has changed its host."""
    signed = more.pop("signed", signature(TOKEN, PUBLIC_URL + url, told))
    headers = {} if signed is None else {"X-Twilio-Signature": signed}
    return client.post(url, data=told, headers=headers, **more)


def twilio(client: FlaskClient, identity: UUID | str, status: str, **more: str) -> TestResponse:
    told = form(identity, status, **more) if isinstance(identity, UUID) else form(uuid4(), status, **more)
    return call(client, f"{PATH}?notification_id={identity}", told)


def status(hospital: Hospital) -> tuple[Any, ...]:
    return hospital.query("SELECT status, reason FROM notifications")[0]


# --- Twilio --------------------------------------------------------------------------------------


def test_a_callback_moves_its_notification(app: App, client: FlaskClient, hospital: Hospital, text: UUID) -> None:
    send(app, text)
    answer = twilio(client, text, "delivered")
    assert (answer.status_code, answer.data) == (204, b"")
    assert status(hospital) == ("delivered", None)


def test_callbacks_twice_and_in_disorder_do_no_harm(
    app: App, client: FlaskClient, hospital: Hospital, text: UUID
) -> None:
    send(app, text)
    for word in ("delivered", "sent", "delivered", "queued", "sent"):
        assert twilio(client, text, word).status_code == 204
    assert status(hospital) == ("delivered", None)
    assert hospital.query("SELECT count(*) FROM receipts") == [(3,)]


def test_a_notifications_story_tells_its_receipts_as_they_came(
    app: App, client: FlaskClient, desk: Desk, text: UUID
) -> None:
    send(app, text)
    for word, code in (("sent", {}), ("undelivered", {"ErrorCode": "30003"})):
        twilio(client, text, word, **code)
    told = desk.call("GET", f"/notifications/{text}").get_json()["receipts"]
    assert [(one["provider_status"], one["status"], one["code"]) for one in told] == [
        ("sent", "sent", None),
        ("undelivered", "failed", "30003"),
    ]
    assert MOBILE not in str(told)


def test_a_callback_before_our_own_commit_is_kept_and_applied_later(
    app: App, client: FlaskClient, hospital: Hospital, text: UUID
) -> None:
    outcome = app.deliverer.send(claim(app, text))
    assert twilio(client, text, "delivered").status_code == 204
    assert status(hospital)[0] == "sending"
    app.deliverer.record([outcome])
    app.receipt_recorder.apply_waiting()
    assert status(hospital)[0] == "delivered"


def test_a_dead_number_is_suppressed(app: App, client: FlaskClient, hospital: Hospital, text: UUID) -> None:
    send(app, text)
    twilio(client, text, "undelivered", ErrorCode="30005")
    assert status(hospital) == ("failed", "address_rejected")
    assert suppressed(app, hospital) == {("mobile", "rejected")}


def test_twilios_opt_out_is_ours(app: App, client: FlaskClient, hospital: Hospital, text: UUID) -> None:
    send(app, text)
    twilio(client, text, "failed", ErrorCode="21610")
    assert status(hospital) == ("unsubscribed", "opted_out")
    assert suppressed(app, hospital) == {("mobile", "opted_out")}


def test_a_callback_of_an_unknown_notification_is_taken(client: FlaskClient, hospital: Hospital) -> None:
    assert twilio(client, uuid4(), "delivered").status_code == 204
    assert hospital.query("SELECT count(*) FROM receipts WHERE applied_at IS NULL") == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"signed": None},
        {"signed": ""},
        {"signed": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"signed": "\N{LATIN SMALL LETTER E WITH ACUTE}"},
        {"content_type": "multipart/form-data"},
    ],
    ids=["none", "empty", "another", "not ASCII", "not the kind of form that Twilio sends"],
)
def test_without_a_signature_that_fits_nothing_is_taken(
    client: FlaskClient, hospital: Hospital, change: dict[str, Any]
) -> None:
    identity = uuid4()
    answer = call(client, f"{PATH}?notification_id={identity}", form(identity, "delivered"), **change)
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert hospital.query("SELECT count(*) FROM receipts") == [(0,)]


def test_a_signature_is_for_one_notification_only(client: FlaskClient, hospital: Hospital) -> None:
    told = form(uuid4(), "delivered")
    signed = signature(TOKEN, f"{PUBLIC_URL}{PATH}?notification_id={uuid4()}", told)
    assert call(client, f"{PATH}?notification_id={uuid4()}", told, signed=signed).status_code == 403


@pytest.mark.parametrize("identity", ["", "x", "1"])
def test_a_callback_that_names_no_notification_is_a_mistake(client: FlaskClient, identity: str) -> None:
    assert twilio(client, identity, "delivered").status_code == 422


@pytest.mark.parametrize("word", ["", "a b", "x" * 41, "\0"])
def test_a_callback_with_a_strange_word_is_a_mistake(client: FlaskClient, word: str) -> None:
    assert twilio(client, uuid4(), word).status_code == 422


def test_callbacks_that_are_signed_are_never_throttled(client: FlaskClient) -> None:
    assert {twilio(client, uuid4(), "delivered").status_code for _ in range(60)} == {204}


def test_callbacks_that_are_not_signed_are_throttled_and_no_signature_is_looked_at_then(client: FlaskClient) -> None:
    told = form(uuid4(), "delivered")
    refused = [call(client, f"{PATH}?notification_id={uuid4()}", told, signed="no").status_code for _ in range(21)]
    assert refused == [403] * 20 + [429]
    assert client.get(f"{BASE}/health").status_code == 200  # what else comes from there is counted by itself
    throttled = twilio(client, uuid4(), "delivered")
    assert throttled.status_code == 429
    assert int(throttled.headers["Retry-After"]) >= 1


def test_an_address_that_has_spent_its_requests_may_still_bring_receipts(client: FlaskClient) -> None:
    asked = [client.get(f"{BASE}/health").status_code for _ in range(21)]
    assert asked == [200] * 20 + [429]
    assert twilio(client, uuid4(), "delivered").status_code == 204


def test_without_the_accounts_token_a_signed_call_is_put_off_and_the_log_says_why(
    app: App, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.settings = app.settings.model_copy(update={"twilio_auth_token": None})
    answer = twilio(client, uuid4(), "delivered")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "CARENOTIFY_TWILIO_AUTH_TOKEN" in caplog.text
    told = form(uuid4(), "delivered")
    assert call(client, f"{PATH}?notification_id={uuid4()}", told, signed=None).status_code == 403


def test_a_body_that_is_too_large_is_refused(client: FlaskClient) -> None:
    assert client.post(PATH, data={"MessageSid": "x" * 2_000_000}).status_code == 413


@pytest.mark.parametrize(
    ("body", "refusal"), [(b"[" * 200_000, 403), (b"x" * 1_100_000, 413)], ids=["nested without end", "too large"]
)
def test_bodies_that_nobody_signs_are_throttled_too(client: FlaskClient, web: Web, body: bytes, refusal: int) -> None:
    answers = [client.post(f"{BASE}/receipts/ses", data=body).status_code for _ in range(21)]
    assert answers == [refusal] * 20 + [429]


def test_no_address_is_logged(app: App, client: FlaskClient, text: UUID, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    send(app, text)
    twilio(client, text, "undelivered", ErrorCode="30005")
    assert MOBILE.removeprefix("+") not in caplog.text


# --- SES -----------------------------------------------------------------------------------------


def amazon(client: FlaskClient, message: dict[str, str]) -> TestResponse:
    headers = {"x-amz-sns-message-type": message["Type"], "Content-Type": "text/plain; charset=UTF-8"}
    return client.post(f"{BASE}/receipts/ses", data=json.dumps(message), headers=headers)


def mail_suppressed(app: App, hospital: Hospital) -> set[tuple[bool, str]]:
    found = hospital.query("SELECT address_index, reason FROM suppressions")
    return {(bytes(index) == app.sealer.index(MAIL), reason) for index, reason in found}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_delivery_is_told_by_ses(
    app: App, client: FlaskClient, hospital: Hospital, mail: UUID, web: Web, version: str
) -> None:
    send(app, mail)
    answer = amazon(client, notification(event("Delivery", mail, to=MAIL), version=version))
    assert (answer.status_code, answer.data) == (204, b"")
    assert status(hospital) == ("delivered", None)


@pytest.mark.parametrize(
    ("kind", "end", "list_of"),
    [
        ("Permanent", ("bounced", "bounced"), {(True, "bounced")}),
        ("Transient", ("failed", "carrier"), set()),
    ],
)
def test_a_hard_bounce_suppresses_and_a_soft_one_does_not(
    app: App,
    client: FlaskClient,
    hospital: Hospital,
    mail: UUID,
    web: Web,
    kind: str,
    end: tuple[str, str],
    list_of: set[tuple[bool, str]],
) -> None:
    send(app, mail)
    assert amazon(client, notification(bounce(mail, kind, to=MAIL))).status_code == 204
    assert status(hospital) == end
    assert mail_suppressed(app, hospital) == list_of
    assert MAIL not in str(hospital.query("SELECT r::text FROM receipts r"))


def test_delivered_after_bounced_stays_bounced(
    app: App, client: FlaskClient, hospital: Hospital, mail: UUID, web: Web
) -> None:
    send(app, mail)
    for told in (bounce(mail, to=MAIL), event("Delivery", mail)):
        amazon(client, notification(told))
    assert status(hospital) == ("bounced", "bounced")


def test_a_complaint_is_an_opt_out(app: App, client: FlaskClient, hospital: Hospital, mail: UUID, web: Web) -> None:
    send(app, mail)
    for told in (event("Delivery", mail), complaint(mail, to=MAIL)):
        amazon(client, notification(told))
    assert status(hospital) == ("unsubscribed", "complaint")
    assert mail_suppressed(app, hospital) == {(True, "complaint")}


def test_an_event_of_somebody_elses_mail_is_passed_over(client: FlaskClient, hospital: Hospital, web: Web) -> None:
    told = event("Delivery", uuid4())
    told["mail"]["tags"] = {}
    assert amazon(client, notification(told)).status_code == 204
    assert hospital.query("SELECT count(*) FROM receipts") == [(0,)]


def test_other_peoples_topics_are_refused_and_nothing_is_fetched(client: FlaskClient, web: Web) -> None:
    others = TOPIC.replace("123456789012", "999999999999")
    assert amazon(client, notification(event("Delivery", uuid4()), topic=others)).status_code == 403
    assert amazon(client, confirmation(topic=others)).status_code == 403
    assert not web.asked


@pytest.mark.parametrize("body", ["", "{}", "[]", "no", '{"Type": "Notification"}'])
def test_what_is_no_message_of_amazons_is_refused(client: FlaskClient, web: Web, body: str) -> None:
    answer = client.post(f"{BASE}/receipts/ses", data=body)
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")


def test_a_message_that_was_changed_is_refused(client: FlaskClient, hospital: Hospital, web: Web) -> None:
    forged = notification(event("Delivery", uuid4())) | {"Message": json.dumps(bounce(uuid4()))}
    assert amazon(client, forged).status_code == 403
    assert hospital.query("SELECT count(*) FROM receipts") == [(0,)]


def test_a_subscription_is_confirmed(client: FlaskClient, web: Web) -> None:
    assert amazon(client, confirmation()).status_code == 204
    assert web.asked[CONFIRM_URL] == 1


def test_a_subscription_that_cannot_be_confirmed_is_asked_for_again(client: FlaskClient, web: Web) -> None:
    del web.pages[CONFIRM_URL]
    assert amazon(client, confirmation()).status_code == 502  # Amazon tries again


def test_a_subscription_is_not_confirmed_anywhere_else(client: FlaskClient, web: Web) -> None:
    assert amazon(client, confirmation(url="https://169.254.169.254/latest")).status_code == 502
    assert "https://169.254.169.254/latest" not in web.asked


def test_the_end_of_a_subscription_is_told(client: FlaskClient, web: Web, caplog: pytest.LogCaptureFixture) -> None:
    assert amazon(client, confirmation(kind="UnsubscribeConfirmation")).status_code == 204
    assert web.asked[CONFIRM_URL] == 0
    assert "subscription" in caplog.text


def test_while_amazons_certificate_cannot_be_had_receipts_are_put_off_and_not_lost(
    client: FlaskClient, hospital: Hospital, web: Web
) -> None:
    web.pages.clear()
    answers = [amazon(client, notification(event("Delivery", uuid4()))) for _ in range(21)]
    assert {answer.status_code for answer in answers} == {503}  # which Amazon repeats, and we do not hold against it
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert hospital.query("SELECT count(*) FROM receipts") == [(0,)]


def test_without_a_topic_messages_are_put_off_and_the_log_says_why(
    app: App, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.__dict__["sns_gate"] = SnsGate([], fetch=Web())
    assert amazon(client, notification(event("Delivery", uuid4()))).status_code == 503
    assert "CARENOTIFY_SES_TOPIC_ARNS" in caplog.text


def test_a_message_that_is_no_event_is_passed_over(client: FlaskClient, web: Web) -> None:
    members = {"Type": "Notification", "MessageId": "1", "TopicArn": TOPIC, "Message": "hello", "Timestamp": "now"}
    assert amazon(client, sign(members)).status_code == 204
