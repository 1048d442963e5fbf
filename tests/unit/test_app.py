from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from carenotify.app import build_app
from carenotify.config import load_settings
from carenotify.domain.notification import Channel

SETTINGS = {
    "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:1/",
    "CARENOTIFY_TIMEZONE": "Europe/Berlin",
    "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "CARENOTIFY_INDEX_KEY": "an index key of tests",
    "CARENOTIFY_TWILIO_ACCOUNT_SID": "AC1",
    "CARENOTIFY_TWILIO_AUTH_TOKEN": "token",
    "CARENOTIFY_TWILIO_FROM": "+4930123456",
}


@pytest.mark.parametrize(
    ("ours", "is_warned"),
    [("http://127.0.0.1:8080", True), ("https://hospital.example", False)],
    ids=["here", "public"],
)
def test_the_log_says_when_twilio_cannot_report_to_us(
    caplog: pytest.LogCaptureFixture, ours: str, *, is_warned: bool
) -> None:
    app = build_app(load_settings(SETTINGS | {"CARENOTIFY_PUBLIC_URL": ours}))
    assert [provider.name for provider in app.providers[Channel.SMS]] == ["twilio"]
    assert ("CARENOTIFY_PUBLIC_URL" in caplog.text) is is_warned
    app.close()
