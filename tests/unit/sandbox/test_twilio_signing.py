"""Our signatures are Twilio's, and messages are counted in segments as Twilio counts them."""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from carenotify.sandbox.twilio_callbacks import signature
from carenotify.sandbox.twilio_message import segments

URL = "https://hospital.example/carenotify/v1/receipts/twilio?notification_id=1"


def test_twilios_own_validator_accepts_the_signature() -> None:
    parameters = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+4915112341234"}
    validator = RequestValidator("token")
    assert validator.validate(URL, parameters, signature("token", URL, parameters))
    assert not validator.validate(URL, parameters | {"To": "+4915112341235"}, signature("token", URL, parameters))
    assert not validator.validate(URL, parameters, signature("other token", URL, parameters))


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        *(("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2)),
        *(("д" * 70, 1), ("д" * 71, 2), ("д" * 134, 2), ("д" * 135, 3), ("😀" * 35, 1), ("😀" * 36, 2)),
    ],
)
def test_segments(body: str, parts: int) -> None:
    assert segments(body) == parts
