from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from amazon import CERTIFICATE_URL, CONFIRM_URL, HOST, TOPIC, Web, confirmation, event, notification, sign
from hypothesis import given
from hypothesis import strategies as st

from carenotify.channels.email.sns_messages import SnsGate, SnsMessage

EVENT = event("Delivery", uuid4())


def message(members: dict[str, str]) -> SnsMessage:
    parsed = SnsMessage.parse(json.dumps(members).encode())
    assert parsed is not None
    return parsed


@pytest.mark.parametrize("version", ["1", "2"])
def test_what_amazon_signed_for_a_topic_of_ours_comes_in(version: str) -> None:
    told = message(notification(EVENT, version=version, Subject="Amazon SES Email Event Notification"))
    assert SnsGate([TOPIC], fetch=Web()).admits(told)
    assert told.content == EVENT


def changed(**members: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda told: told | members


@pytest.mark.parametrize(
    "forge",
    [
        changed(Message="{}"),
        changed(MessageId="other"),
        changed(Subject="one more member"),
        changed(Signature="bm8="),
        changed(Signature="not base64"),
        changed(Signature=""),
        changed(SignatureVersion="1"),
        changed(SignatureVersion="3"),
    ],
)
def test_what_was_changed_on_its_way_does_not(forge: Callable[[dict[str, str]], dict[str, str]]) -> None:
    assert not SnsGate([TOPIC], fetch=Web()).admits(message(forge(notification(EVENT))))


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://evil.example#sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        CERTIFICATE_URL.replace("https", "http"),
        f"{HOST}/anything.pem",
        f"{HOST}/x/../SimpleNotificationService-0123456789abcdef.pem",
        "https://[sns.eu-central-1.amazonaws.com/SimpleNotificationService-0.pem",
        "",
    ],
)
def test_a_certificate_is_fetched_from_amazons_own_place_only(url: str) -> None:
    web = Web()
    web.pages[url] = web.pages[CERTIFICATE_URL]
    assert not SnsGate([TOPIC], fetch=web).admits(message(notification(EVENT) | {"SigningCertURL": url}))
    assert not web.asked


@pytest.mark.parametrize("topics", [[], ["arn:aws:sns:eu-central-1:999999999999:mail-events"]])
def test_nothing_is_fetched_for_other_peoples_topics(topics: list[str]) -> None:
    web = Web()
    gate = SnsGate(topics, fetch=web)
    assert not gate.admits(message(notification(EVENT)))
    assert not web.asked
    assert gate.is_shut is (not topics)


def test_a_certificate_is_fetched_once() -> None:
    web = Web()
    gate = SnsGate([TOPIC], fetch=web)
    assert all(gate.admits(message(notification(EVENT))) for _ in range(3))
    assert web.asked == {CERTIFICATE_URL: 1}


@pytest.mark.parametrize("found", [None, b"", b"<html>no</html>", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_a_certificate_that_cannot_be_had_lets_nobody_in_and_is_not_asked_for_at_every_call(
    found: bytes | None,
) -> None:
    web = Web({} if found is None else {CERTIFICATE_URL: found})
    gate = SnsGate([TOPIC], fetch=web)
    assert not any(gate.admits(message(notification(EVENT))) for _ in range(3))
    assert web.asked == {CERTIFICATE_URL: 1}


def test_a_subscription_is_confirmed_by_fetching_its_url() -> None:
    web = Web()
    gate = SnsGate([TOPIC], fetch=web)
    told = message(confirmation())
    assert gate.admits(told)
    assert gate.confirm(told)
    assert web.asked[CONFIRM_URL] == 1


@pytest.mark.parametrize(
    "url", ["https://evil.example/?Action=ConfirmSubscription", f"http{HOST.removeprefix('https')}/", f"{HOST}/else"]
)
def test_a_subscription_is_confirmed_at_amazon_only(url: str) -> None:
    web = Web()
    assert not SnsGate([TOPIC], fetch=web).confirm(message(confirmation(url=url)))
    assert url not in web.asked


def test_the_url_of_a_subscription_is_signed_too() -> None:
    assert not SnsGate([TOPIC], fetch=Web()).admits(message(confirmation() | {"SubscribeURL": f"{HOST}/?x"}))


@given(st.binary())
def test_whatever_is_posted_is_a_message_or_none(body: bytes) -> None:
    SnsMessage.parse(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"Type": "Other"}', b'{"Type": 1}', b'"Type"'])
def test_other_json_is_no_message(body: bytes) -> None:
    assert SnsMessage.parse(body) is None


@pytest.mark.parametrize("text", ["", "hello", "[1]", "null"])
def test_a_message_that_is_no_json_object_has_no_content(text: str) -> None:
    members = {"Type": "Notification", "MessageId": "1", "TopicArn": TOPIC, "Message": text, "Timestamp": "now"}
    assert message(sign(members)).content == {}


def test_a_message_shows_nothing_of_what_is_in_it() -> None:
    assert "anna" not in repr(message(notification(EVENT)))
