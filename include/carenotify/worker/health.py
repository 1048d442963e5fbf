"""`/health` (this process runs), `/ready` (it can deliver) and `/metrics`, for whoever watches the worker."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from carenotify.logs import chain_of
from carenotify.metrics import Exposition

log = logging.getLogger(__name__)


class _Server(ThreadingHTTPServer):
    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Python would write the error with its text to standard error, between our lines."""
        if (error := sys.exception()) is not None:
            log.warning("a probe was not answered: %s", chain_of(error))


class HealthServer:
    """Answers on a port of its own. Raises OSError when it cannot listen.

    `state` gives what is worth showing beside health, and `scrape` the metrics in the format of an Accept header.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        ready: Callable[[], bool],
        state: Callable[[], dict[str, Any]],
        scrape: Callable[[str], Exposition],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    found = scrape(self.headers.get("Accept", ""))
                    self._answer(HTTPStatus.OK, found.body, found.content_type)
                elif path in {"/health", "/ready"}:
                    # Whoever asks whether the process runs must not wait for a database that is away.
                    well = path == "/health" or ready()
                    body = orjson.dumps({path[1:]: well} | state())
                    self._answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, body, "application/json")
                else:
                    self.send_error(HTTPStatus.NOT_FOUND)

            def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                with suppress(ConnectionError):  # who asked did not wait for the answer
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Probes come every few seconds; they are no news."""

        self._server = _Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port in use (a free one when 0 was asked for)."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin answering, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
