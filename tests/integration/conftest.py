"""An app on real servers, wired to providers that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from carenotify.app import App, build_app
from carenotify.cli import main
from carenotify.config import Settings
from tests.integration.ward import Hospital, ScriptedProvider, SetClock, make_settings, process_settings

Run = Callable[..., Result]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(database_url)


@pytest.fixture
def app(settings: Settings, clock: SetClock) -> Iterator[App]:
    """An app on a database of its own, with no broker."""
    yield from _with_providers(build_app(settings, clock=clock))


@pytest.fixture
def broker_app(database_url: str, broker_url: str, clock: SetClock) -> Iterator[App]:
    """An app on a database and a broker of its own."""
    settings = make_settings(database_url, broker_url, CARENOTIFY_RELAY_INTERVAL_SECONDS="0.1")
    yield from _with_providers(build_app(settings, clock=clock))


def _with_providers(app: App) -> Iterator[App]:
    app.__dict__["providers"] = {
        channel: tuple(ScriptedProvider(channel, name) for name in names)
        for channel, names in app.provider_names.items()
    }
    yield app
    app.close()


@pytest.fixture
def hospital(app: App) -> Hospital:
    return Hospital(app.database)


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("pause", "--channel", "sms")` in this process, with the test's own database and no other server."""
    for name, value in process_settings(database_url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("carenotify.cli.configure_logging", lambda: None)  # the log stays that of the tests
    return lambda *words, **options: CliRunner().invoke(main, words, **options)
