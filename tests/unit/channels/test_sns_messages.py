from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import uuid4

import pytest
from amazon import CERTIFICATE_URL, CONFIRM_URL, HOST, TOPIC, Web, certificate, confirmation, event, notification, sign
from hypothesis import given
from hypothesis import strategies as st

from carenotify.channels.email.sns_messages import SnsGate, SnsMessage
from carenotify.errors import SignatureUncheckedError

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


def test_nothing_is_fetched_for_other_peoples_topics() -> None:
    web = Web()
    assert not SnsGate([TOPIC.replace("123456789012", "999999999999")], fetch=web).admits(message(notification(EVENT)))
    assert not web.asked


def test_without_a_topic_nobody_can_tell_and_nothing_is_fetched() -> None:
    web = Web()
    with pytest.raises(SignatureUncheckedError, match="CARENOTIFY_SES_TOPIC_ARNS"):
        SnsGate([], fetch=web).admits(message(notification(EVENT)))
    assert not web.asked


def test_a_certificate_is_fetched_once() -> None:
    web = Web()
    gate = SnsGate([TOPIC], fetch=web)
    assert all(gate.admits(message(notification(EVENT))) for _ in range(3))
    assert web.asked == {CERTIFICATE_URL: 1}


class Clock:
    """A monotonic clock that stands until it is put forward."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("found", [None, b"", b"<html>no</html>", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_without_its_certificate_nobody_can_tell_whose_a_message_is(found: bytes | None) -> None:
    web = Web({} if found is None else {CERTIFICATE_URL: found})
    gate = SnsGate([TOPIC], fetch=web)
    for _ in range(3):
        with pytest.raises(SignatureUncheckedError):
            gate.admits(message(notification(EVENT)))
    assert web.asked == {CERTIFICATE_URL: 1}


def test_a_certificate_that_could_not_be_had_is_asked_for_again_before_amazon_gives_up() -> None:
    web, clock = Web({}), Clock()
    gate = SnsGate([TOPIC], fetch=web, timer=clock)
    with pytest.raises(SignatureUncheckedError):
        gate.admits(message(notification(EVENT)))
    web.pages[CERTIFICATE_URL] = certificate()
    clock.seconds += 10  # SNS tries again after 20 seconds
    assert gate.admits(message(notification(EVENT)))


def test_other_names_of_certificates_do_not_make_us_fetch_more_often() -> None:
    web, clock = Web({}), Clock()
    gate = SnsGate([TOPIC], fetch=web, timer=clock)
    for number in range(60):
        url = f"{HOST}/SimpleNotificationService-{number}.pem"
        with pytest.raises(SignatureUncheckedError):
            gate.admits(message(notification(EVENT) | {"SigningCertURL": url}))
        clock.seconds += 1
    assert sum(web.asked.values()) == 12


def test_a_certificate_that_we_have_is_used_while_none_can_be_fetched() -> None:
    gate = SnsGate([TOPIC], fetch=Web())
    assert gate.admits(message(notification(EVENT)))
    with pytest.raises(SignatureUncheckedError):
        gate.admits(message(notification(EVENT) | {"SigningCertURL": f"{HOST}/SimpleNotificationService-0.pem"}))
    assert gate.admits(message(notification(EVENT)))
    assert not gate.admits(message(notification(EVENT) | {"MessageId": "other"}))


def test_many_messages_at_once_fetch_one_certificate() -> None:
    web, begun, go_on = Web(), Event(), Event()

    def slow(url: str) -> bytes | None:
        begun.set()
        go_on.wait(10)
        return web(url)

    gate = SnsGate([TOPIC], fetch=slow, wait_seconds=10)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(gate.admits, message(notification(EVENT))) for _ in range(4)]
        assert begun.wait(10)
        go_on.set()
        assert all(answer.result() for answer in answers)
    assert web.asked == {CERTIFICATE_URL: 1}


def test_a_message_does_not_wait_long_for_a_certificate_that_another_one_fetches() -> None:
    begun, go_on = Event(), Event()

    def slow(_: str) -> bytes | None:
        begun.set()
        go_on.wait(10)
        return certificate()

    gate = SnsGate([TOPIC], fetch=slow, wait_seconds=0.01)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(gate.admits, message(notification(EVENT)))
        assert begun.wait(10)
        with pytest.raises(SignatureUncheckedError):
            gate.admits(message(notification(EVENT)))
        go_on.set()
        assert first.result()


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


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000], ids=["lists", "objects"])
def test_what_is_nested_without_end_is_no_message(body: bytes) -> None:
    assert SnsMessage.parse(body) is None
    members = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": body.decode(),
        "Timestamp": "now",
    }
    assert message(members).content == {}


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"Type": "Other"}', b'{"Type": 1}', b'"Type"'])
def test_other_json_is_no_message(body: bytes) -> None:
    assert SnsMessage.parse(body) is None


@pytest.mark.parametrize("text", ["", "hello", "[1]", "null"])
def test_a_message_that_is_no_json_object_has_no_content(text: str) -> None:
    members = {"Type": "Notification", "MessageId": "1", "TopicArn": TOPIC, "Message": text, "Timestamp": "now"}
    assert message(sign(members)).content == {}


def test_a_message_shows_nothing_of_what_is_in_it() -> None:
    assert "anna" not in repr(message(notification(EVENT)))
