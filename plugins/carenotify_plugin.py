"""Puts carenotify's HTTP surface into Airflow's api-server at /carenotify, and its pages into the navigation.

The scheduler, the DAG processor and the command line import this file too, so nothing is built before a request comes.
"""

from __future__ import annotations

import asyncio
import atexit
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from a2wsgi import WSGIMiddleware

    from carenotify.domain.access import Person

MOUNT = "/carenotify"
_LOOKUP_SECONDS = 10
# Where a reverse proxy puts Airflow, as in https://hospital.example/airflow.
_BASE_PATH = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class MountedApp:
    """An ASGI app that builds the Flask app when the first request comes."""

    def __init__(self) -> None:
        self._inner: WSGIMiddleware | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand the request to Flask, which serves the whole URL, the mount included, as it does outside Airflow."""
        whole: Any = {**scope, "root_path": scope.get("root_path", "").removesuffix(MOUNT)}
        try:
            inner = self._inner or await self._built()
            await inner(whole, receive, send)
            return
        except Exception as error:  # noqa: BLE001
            failed = _private(error)
        raise failed

    async def _built(self) -> WSGIMiddleware:
        async with self._building:
            if self._inner is None:
                self._inner = await asyncio.to_thread(_build, asyncio.get_running_loop())
        return self._inner


def _private(error: Exception) -> Exception:
    """The api-server logs an error with its text; but for our own, that may hold what a patient's row held."""
    from carenotify.errors import CarenotifyError
    from carenotify.logs import UnforeseenError

    return error if isinstance(error, CarenotifyError) else UnforeseenError.of(error)


def _build(loop: asyncio.AbstractEventLoop) -> WSGIMiddleware:
    from a2wsgi import WSGIMiddleware

    from carenotify.api import create_app
    from carenotify.app import build_app
    from carenotify.journeys.take_turns import LEAST_THREADS

    app = build_app(application="carenotify-api")
    atexit.register(app.close)
    flask = create_app(app, person=lambda token: _person(token, loop))

    def whole_body(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input_terminated"] = True  # a2wsgi knows where a chunked body ends, and does not say so
        return flask(environ, start_response)

    return WSGIMiddleware(whole_body, workers=LEAST_THREADS)


def _person(token: str, loop: asyncio.AbstractEventLoop) -> Person | None:
    """Whose Airflow token this is. Asked on the api-server's own loop, where Airflow asks it too."""
    from airflow.api_fastapi.app import get_auth_manager
    from jwt import InvalidTokenError

    from carenotify.domain.access import Person

    asked = asyncio.run_coroutine_threadsafe(get_auth_manager().get_user_from_token(token), loop)
    try:
        user = asked.result(timeout=_LOOKUP_SECONDS)
    except InvalidTokenError:
        return None
    return Person(user.get_name(), tuple(role.name for role in getattr(user, "roles", ())))


class CarenotifyPlugin(AirflowPlugin):
    """What Airflow finds here."""

    name = "carenotify"
    fastapi_apps = [{"app": MountedApp(), "url_prefix": MOUNT, "name": "carenotify"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Notifications",
            "href": f"{_BASE_PATH}{MOUNT}/page",
            "icon": f"{_BASE_PATH}{MOUNT}/page/icon.svg",
            "destination": "nav",
            "url_route": "notifications",
            "nav_top_level": True,
        },
        {
            "name": "Data docs",
            "href": f"{_BASE_PATH}{MOUNT}/v1/data-docs/",
            "destination": "nav",
            "url_route": "data-docs",
            "nav_top_level": True,
        },
    ]
