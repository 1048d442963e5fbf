"""A real browser on a real server: what the tests of the page are played with.

Whatever a page should never do fails its test: an error in a script or on the console, a dialog of the browser's, a
request to any other host.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from carenotify.api.authentication import SESSION_COOKIE

HOST = "127.0.0.1"
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 780}
PATIENCE_MS = 10_000
_ARGUMENTS = (
    "--no-sandbox",  # we are root in our containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium", headless=True, args=list(_ARGUMENTS), timeout=60_000
    )
    yield browser
    browser.close()


@dataclass
class Server:
    """Serves an app on a port of its own; it can go away and come back at the same address."""

    flask: Flask
    port: int = 0
    _running: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/carenotify/page"

    def start(self) -> None:
        """Listen, where it listened before if it did."""
        self._running = make_server(HOST, self.port, self.flask, threaded=True, request_handler=_Quiet)
        self._running.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._running.port
        threading.Thread(target=self._running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Let go of the port; who calls now is refused."""
        if self._running is not None:
            self._running.shutdown()
            self._running.server_close()
            self._running = None


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing: a failed test shows what its page saw."""


@dataclass
class Visitor:
    """Somebody who is logged in to Airflow with one role, in a browser window of their own."""

    server: Server
    context: BrowserContext
    misdeeds: list[str] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def open(self, place: str = "") -> Page:
        """The page, at `place` such as `#messages`, when it has shown who is looking."""
        page = self.context.new_page()
        self._watch(page)
        page.goto(self.server.url + place)
        page.locator(".who, main.alone").first.wait_for()
        return page

    def log_in_as(self, role: str) -> None:
        """From now on requests are made as somebody with this role."""
        cookie = f"{role.lower()}.to.ken"
        self.context.add_cookies(
            [{"name": SESSION_COOKIE, "value": cookie, "domain": HOST, "path": "/", "httpOnly": True}]
        )

    def allow(self, pattern: str) -> None:
        """Errors on the console that match are what the test is about."""
        self.allowed.append(pattern)

    def unexpected(self) -> list[str]:
        """What the page did that it should not have done."""
        return [deed for deed in self.misdeeds if not any(re.search(pattern, deed) for pattern in self.allowed)]

    def statuses(self, path: str) -> list[int]:
        """What the server answered to requests for one path below /carenotify/v1."""
        return [status for status, asked in self.answers if asked == f"/carenotify/v1/{path}"]

    def _watch(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.misdeeds.append(f"error: {error}"))
        page.on("console", self._heard)
        page.on("request", self._asked)
        page.on("response", lambda answer: self.answers.append((answer.status, urlsplit(answer.url).path)))
        page.on("dialog", lambda dialog: (self.misdeeds.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.misdeeds.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "data" and address.netloc != f"{HOST}:{self.server.port}":
            self.misdeeds.append(f"asked another host: {request.url}")


def log_in(browser: Browser, server: Server, role: str | None, **options: Any) -> Visitor:
    """A visitor with a role of Airflow's, or nobody. `options` are the browser context's, such as `color_scheme`."""
    visitor = Visitor(server, browser.new_context(**({"viewport": WIDE, "timezone_id": "America/New_York"} | options)))
    if role is not None:
        visitor.log_in_as(role)
    return visitor
