from __future__ import annotations

import inspect
from functools import cached_property
from types import ModuleType

import pytest

from carenotify.app import App, answers, build_app, connections, delivery, intake, staff
from carenotify.config import load_settings
from carenotify.domain.notification import Channel
from tests.integration.ward import process_settings

SETTINGS = process_settings() | {
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


@pytest.mark.parametrize(
    ("window", "at", "is_warned"),
    [("00:00-24:00", "18:00", True), ("09:00-12:00", "11:59", True), ("09:00-12:00", "12:00", False)],
)
def test_the_log_says_when_the_report_is_of_a_day_that_is_not_over(
    caplog: pytest.LogCaptureFixture, window: str, at: str, *, is_warned: bool
) -> None:
    app = build_app(load_settings(SETTINGS | {"CARENOTIFY_SEND_WINDOW": window, "CARENOTIFY_REPORT_TIME": at}))
    assert app.report_mailer.settings is app.settings
    assert (f"CARENOTIFY_REPORT_TIME, {at}, is before" in caplog.text) is is_warned
    app.close()


@pytest.mark.parametrize("room", [connections, intake, delivery, answers, staff], ids=lambda room: room.__name__)
def test_every_part_is_the_apps_under_its_own_name(room: ModuleType) -> None:
    made_here = [one for _, one in inspect.getmembers(room, inspect.isfunction) if one.__module__ == room.__name__]
    parts = {one.__name__: one for one in made_here if not one.__name__.startswith("_")}
    of_the_app = {name: vars(App).get(name) for name in parts}
    assert parts == {name: one.func if isinstance(one, cached_property) else one for name, one in of_the_app.items()}


def test_a_part_is_made_once_and_only_when_it_is_asked_for() -> None:
    app = build_app(load_settings(SETTINGS))
    assert not {"database", "relay", "deliverer"} & vars(app).keys()
    assert app.deliverer is app.deliverer
    assert {"database", "deliverer"} <= vars(app).keys()
    assert "relay" not in vars(app)
    app.close()
