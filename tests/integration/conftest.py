"""An app on real servers, wired to providers that do as they are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carenotify.app import App, build_app
from carenotify.config import Settings
from tests.integration.ward import Hospital, ScriptedProvider, SetClock, make_settings


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return make_settings(database_url)


@pytest.fixture
def app(settings: Settings, clock: SetClock) -> Iterator[App]:
    """An app on a database of its own, with no broker."""
    yield from _seeded(build_app(settings, clock=clock))


@pytest.fixture
def broker_app(database_url: str, broker_url: str, clock: SetClock) -> Iterator[App]:
    """An app on a database and a broker of its own."""
    settings = make_settings(database_url, broker_url, CARENOTIFY_RELAY_INTERVAL_SECONDS="0.1")
    yield from _seeded(build_app(settings, clock=clock))


def _seeded(app: App) -> Iterator[App]:
    app.seed_templates()
    app.__dict__["providers"] = {
        channel: tuple(ScriptedProvider(channel, name) for name in names)
        for channel, names in app.provider_names.items()
    }
    yield app
    app.close()


@pytest.fixture
def hospital(app: App) -> Hospital:
    return Hospital(app.database)
