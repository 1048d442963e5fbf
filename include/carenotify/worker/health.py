"""`/health` (this process runs) and `/ready` (it can deliver), for whoever watches the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


class HealthServer:
    """Answers on a port of its own. `state` gives what is worth showing. Raises OSError when it cannot listen."""

    def __init__(self, *, host: str, port: int, ready: Callable[[], bool], state: Callable[[], dict[str, Any]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path not in {"/health", "/ready"}:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                # Whoever asks whether the process runs must not wait for a database that is away.
                well = self.path == "/health" or ready()
                body = orjson.dumps({self.path[1:]: well} | state())
                self.send_response(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Probes come every few seconds; they are no news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
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
