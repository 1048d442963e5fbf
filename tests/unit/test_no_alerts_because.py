"""Whether a process can mail staff shows when it starts."""

from __future__ import annotations

import pytest

from carenotify.app import build_app
from carenotify.config import load_settings
from tests.integration.ward import process_settings

PLAIN = process_settings()
SOMEBODY = {"CARENOTIFY_ALERT_TO": "staff@hospital.example"}
SMTP = {"CARENOTIFY_SMTP_URL": "smtp://127.0.0.1:1", "CARENOTIFY_EMAIL_FROM": "info@hospital.example"}


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        (SMTP, "CARENOTIFY_ALERT_TO: is not set"),
        (SOMEBODY, "CARENOTIFY_SMTP_URL: is not set"),
        (SOMEBODY | SMTP, None),
        (SOMEBODY | SMTP | {"CARENOTIFY_EMAIL_PROVIDERS": "unheard-of,smtp"}, None),
    ],
    ids=["nobody", "no server", "all there", "another provider that is none"],
)
def test_what_keeps_staff_from_being_mailed_is_named(settings: dict[str, str], because: str | None) -> None:
    assert build_app(load_settings(PLAIN | settings)).no_alerts_because == because
