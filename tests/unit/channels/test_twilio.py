from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_servers import TwilioServer, twilio_server

from carenotify.channels.base import OutgoingMessage
from carenotify.channels.over_http import retry_after
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.channels.sms.twilio_codes import OUTCOMES, refusal
from carenotify.errors import (
    CarenotifyError,
    DeliveryError,
    MessageRejectedError,
    NotTriedError,
    SettingsError,
    TemporaryDeliveryError,
    ThrottledError,
)

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ID = UUID("018f0000-0000-7000-8000-000000000001")
MESSAGE = OutgoingMessage(ID, 1, "+4915112345678", None, "Hällo & welcome €", None, "en")


@pytest.fixture
def server() -> Iterator[TwilioServer]:
    with twilio_server() as running:
        yield running


def provider_for(server: TwilioServer, **settings: Any) -> TwilioProvider:
    usual = {"sender": "+4930123456", "base_url": server.url, "public_url": "https://hospital.example/"}
    return TwilioProvider("AC1", "token", **{**usual, **settings}, timeout_seconds=2, clock=lambda: NOW)


def test_a_call_carries_text_numbers_and_our_id_in_its_callback(server: TwilioServer) -> None:
    provider = provider_for(server)

    sid = provider.send(MESSAGE)

    ((path, form, headers),) = server.calls
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert form == {
        "To": "+4915112345678",
        "From": "+4930123456",
        "Body": "Hällo & welcome €",
        "StatusCallback": f"https://hospital.example/carenotify/v1/receipts/twilio?notification_id={ID}",
    }
    assert headers["Authorization"] == "Basic " + b64encode(b"AC1:token").decode()
    assert sid == "SM" + "1".zfill(32)
    provider.close()


def test_a_sender_that_is_a_messaging_service_is_told_as_one(server: TwilioServer) -> None:
    provider = provider_for(server, sender="MG" + "0" * 32)

    provider.send(MESSAGE)

    form = server.calls[0][1]
    assert form["MessagingServiceSid"] == "MG" + "0" * 32
    assert "From" not in form
    provider.close()


def test_urgent_messages_have_a_sender_of_their_own(server: TwilioServer) -> None:
    provider = provider_for(server, urgent_sender="MG" + "1" * 32)

    provider.send(MESSAGE)
    provider.send(replace(MESSAGE, urgent=True))

    bulk, urgent = (form for _, form, _ in server.calls)
    assert bulk["From"] == "+4930123456"
    assert urgent["MessagingServiceSid"] == "MG" + "1" * 32
    assert "From" not in urgent
    assert "MessagingServiceSid" not in bulk
    provider.close()


def test_without_a_sender_of_their_own_urgent_messages_have_the_usual_one(server: TwilioServer) -> None:
    provider = provider_for(server)

    provider.send(replace(MESSAGE, urgent=True))

    assert server.calls[0][1]["From"] == "+4930123456"
    provider.close()


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(hours=3), "10800"),
        (timedelta(seconds=90, milliseconds=999), "90"),
        (timedelta(milliseconds=5), "1"),
        (timedelta(hours=10), "36000"),
        (timedelta(days=30), "36000"),
        (-timedelta(seconds=5), "1"),
    ],
)
def test_a_message_waits_at_twilio_no_longer_than_its_window_is_open(
    server: TwilioServer, left: timedelta, told: str
) -> None:
    """Twilio takes whole seconds from 1 to 36,000 (https://www.twilio.com/docs/api/errors/21624)."""
    provider = provider_for(server)

    provider.send(replace(MESSAGE, expires_at=NOW + left))

    assert server.calls[0][1]["ValidityPeriod"] == told
    provider.close()


def test_after_its_deadline_nothing_is_handed_over(server: TwilioServer) -> None:
    provider = provider_for(server)

    with pytest.raises(NotTriedError, match="too-slow"):
        provider.send(replace(MESSAGE, deadline=time.monotonic()))

    assert server.calls == []
    provider.close()


def test_a_base_url_may_have_a_path(server: TwilioServer) -> None:
    provider = provider_for(server, base_url=f"{server.url}/gateway/")

    provider.send(MESSAGE)

    assert server.calls[0][0] == "/gateway/2010-04-01/Accounts/AC1/Messages.json"
    provider.close()


def test_edge_and_region_of_the_environment_do_not_redirect(
    server: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    provider = provider_for(server)

    provider.send(MESSAGE)

    assert len(server.calls) == 1
    provider.close()


def test_connections_are_kept(server: TwilioServer) -> None:
    provider = provider_for(server)
    for _ in range(20):
        provider.send(MESSAGE)

    assert server.connections == 1
    provider.close()


def test_a_failed_call_is_not_repeated_behind_our_back(server: TwilioServer) -> None:
    server.status, server.body = 503, "{}"
    provider = provider_for(server)

    with pytest.raises(TemporaryDeliveryError):
        provider.send(MESSAGE)

    assert len(server.calls) == 1
    provider.close()


def test_how_long_to_wait_is_honoured(server: TwilioServer) -> None:
    server.refuse(429, 20429, "slow", **{"Retry-After": "7"})
    provider = provider_for(server)

    with pytest.raises(ThrottledError) as caught:
        provider.send(MESSAGE)

    assert caught.value.retry_after == timedelta(seconds=7)
    provider.close()


def test_where_twilio_cannot_reach_us_no_callback_is_named(server: TwilioServer) -> None:
    provider = provider_for(server, public_url=None)
    provider.send(MESSAGE)
    ((_, form, _),) = server.calls
    assert "StatusCallback" not in form
    provider.close()


@pytest.mark.parametrize("base_url", ["", "api.twilio.com", "ftp://api.twilio.com"])
def test_a_wrong_base_url_is_a_setting_to_correct(base_url: str) -> None:
    with pytest.raises(SettingsError, match="CARENOTIFY_TWILIO_BASE_URL"):
        TwilioProvider("AC1", "token", sender="+49", base_url=base_url, public_url="http://here")


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta()),
        ("30", timedelta(seconds=30)),
        ("999999999999", timedelta(days=1)),
        ("Sat, 21 Nov 2026 08:00:30 GMT", timedelta(seconds=30)),
        ("Sat, 21 Nov 2026 07:00:00 GMT", timedelta()),
        ("Sat, 21 Nov 2026 08:00:30 -0000", timedelta(seconds=30)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_a_wait_is_told_in_seconds_or_as_a_date(value: str, wait: timedelta | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == wait


@given(st.text())
def test_any_retry_after_is_a_wait_or_none(value: str) -> None:
    wait = retry_after({"Retry-After": value}, NOW)

    assert wait is None or wait >= timedelta()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, MessageRejectedError),
        (401, TemporaryDeliveryError),
        (404, TemporaryDeliveryError),
        (422, MessageRejectedError),
        (429, ThrottledError),
        (500, TemporaryDeliveryError),
        (503, TemporaryDeliveryError),
    ],
)
@pytest.mark.parametrize("code", [None, 29999])
def test_an_unknown_code_is_judged_by_the_status(status: int, kind: type[DeliveryError], code: int | None) -> None:
    error = refusal(status, code, {}, NOW)

    assert (type(error), error.code) == (kind, str(code) if code else f"http-{status}")


def test_a_known_code_says_more_than_the_status() -> None:
    for code, kind in OUTCOMES.items():
        assert type(refusal(400, code, {}, NOW)) is kind
        assert issubclass(kind, CarenotifyError)
