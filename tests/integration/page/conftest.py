from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from carenotify.api import create_app
from carenotify.app import App, build_app
from tests.conftest import Fresh
from tests.integration.api.desk import TOKENS
from tests.integration.page.believable_day import BelievableDay, play_believable_day
from tests.integration.page.browser import Server, Visitor, chromium, log_in
from tests.integration.ward import SetClock, make_settings


class Enter(Protocol):
    """Lets somebody in with a role, see `log_in`."""

    def __call__(self, role: str | None = "Op", *, server: Server | None = None, **options: Any) -> Visitor: ...


@pytest.fixture(scope="session")
def _browser() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """One browser for all tests of the page, and the loop on which Playwright runs in this very thread."""
    with sync_playwright() as playwright, chromium(playwright) as browser:
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield browser, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def browser(_browser: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
    """The browser. Outside the tests that use it, other tests may run a loop of their own."""
    asyncio._set_running_loop(_browser[1])
    yield _browser[0]
    asyncio._set_running_loop(None)


@pytest.fixture
def server(app: App) -> Iterator[Server]:
    """The page over an empty database."""
    yield from _served(app)


@pytest.fixture(scope="session")
def busy_app(fresh_database: Fresh) -> Iterator[App]:
    """A hospital's day at half past nine, which all tests of the page look at and none changes."""
    with fresh_database() as database_url:
        app = build_app(make_settings(database_url), clock=SetClock())
        app.publisher.close()  # there is no broker; who looks for one disturbs all later tests of this process
        yield app
        app.close()


@pytest.fixture(scope="session")
def busy_day(busy_app: App) -> BelievableDay:
    """Where in `busy_app` to look for what."""
    return play_believable_day(busy_app)


@pytest.fixture(scope="session")
def busy_server(busy_app: App, busy_day: BelievableDay) -> Iterator[Server]:
    """The page over a day with something of everything."""
    yield from _served(busy_app)


@pytest.fixture
def enter(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Enter]:
    """`enter("Viewer").open("#messages")`; without `server`, the one that the test asked for."""
    visitors: list[Visitor] = []

    def enter(role: str | None = "Op", *, server: Server | None = None, **options: Any) -> Visitor:
        name = "busy_server" if "busy_server" in request.fixturenames else "server"
        visitors.append(log_in(browser, server or request.getfixturevalue(name), role, **options))
        return visitors[-1]

    yield enter
    for visitor in visitors:
        visitor.context.close()
    assert [deed for visitor in visitors for deed in visitor.unexpected()] == []


def _served(app: App) -> Iterator[Server]:
    server = Server(create_app(app, person=TOKENS.get))
    server.start()
    yield server
    server.stop()
