from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scripted_servers import CUT, HANG, TwilioServer, twilio_server

from carenotify.channels.base import Found
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.channels.sms.twilio import TwilioProvider
from carenotify.errors import (
    DeliveryError,
    MisconfiguredError,
    TemporaryDeliveryError,
    ThrottledError,
    UnconfirmedDeliveryError,
)

ACCOUNT, SID = "AC" + "0" * 32, "SM" + "1" * 32


@pytest.fixture
def server() -> Iterator[TwilioServer]:
    with twilio_server() as server:
        yield server


@pytest.fixture
def provider(server: TwilioServer) -> Iterator[TwilioProvider]:
    made = TwilioProvider(
        ACCOUNT, "token", sender="+4930123456", base_url=server.url, public_url="https://h.example", timeout_seconds=1.0
    )
    yield made
    made.close()


def record(server: TwilioServer, **members: object) -> None:
    server.status, server.body = 200, json.dumps({"sid": SID, "to": "+4915112345678", "body": "Annabella"} | members)


def test_a_message_is_asked_for_by_its_sid(server: TwilioServer, provider: TwilioProvider) -> None:
    record(server, status="undelivered", error_code=30005)
    assert provider.look_up(SID) == Found("undelivered", "30005")
    assert [path for path, _, _ in server.calls] == [f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}.json"]


def test_a_message_that_went_well_has_no_code(server: TwilioServer, provider: TwilioProvider) -> None:
    record(server, status="delivered", error_code=None)
    assert provider.look_up(SID) == Found("delivered", None)


def test_a_message_that_twilio_does_not_know_is_none(server: TwilioServer, provider: TwilioProvider) -> None:
    server.refuse(404, 20404, "The requested resource was not found")
    assert provider.look_up(SID) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, json.dumps({"code": 20003}), MisconfiguredError),
        (404, "<html>another server</html>", TemporaryDeliveryError),
        (429, json.dumps({"code": 20429}), ThrottledError),
        (503, "", TemporaryDeliveryError),
        (200, "[]", UnconfirmedDeliveryError),
        (200, "{}", UnconfirmedDeliveryError),
        (200, json.dumps({"status": 7}), UnconfirmedDeliveryError),
        (200, "<html>", UnconfirmedDeliveryError),
        (200, CUT, UnconfirmedDeliveryError),
        (200, HANG, UnconfirmedDeliveryError),
    ],
)
def test_when_twilio_cannot_be_asked_that_is_a_delivery_error(
    server: TwilioServer, provider: TwilioProvider, status: int, body: str, kind: type[DeliveryError]
) -> None:
    server.status, server.body = status, body
    with pytest.raises(DeliveryError) as caught:
        provider.look_up(SID)
    assert type(caught.value) is kind


def test_a_provider_that_cannot_be_asked_says_so() -> None:
    assert TwilioProvider.looks_up
    assert not SmtpProvider.looks_up
    with pytest.raises(NotImplementedError, match="smtp cannot be asked"):
        SmtpProvider("smtp://127.0.0.1:1", "a@example.org").look_up("m")
