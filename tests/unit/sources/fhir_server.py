"""A patient API that answers what a test tells it to, call by call."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass
class Answer:
    """`body` is sent as it is when it is text, else as JSON; None cuts the connection."""

    body: Any = None
    status: int = 200
    content_type: str = "application/fhir+json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FhirServer:
    """`script` is answered first, one each; then `by_path`, by path with query or by path alone; then 404."""

    url: str = ""
    script: deque[Answer] = field(default_factory=deque)
    by_path: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> Answer:
        self.asked.append(path)
        if self.script:
            return self.script.popleft()
        plain = path.split("?", maxsplit=1)[0]
        missing = Answer({"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]}, 404)
        return self.by_path.get(path) or self.by_path.get(plain) or missing


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    patient_api: ClassVar[FhirServer]

    def do_GET(self) -> None:
        answer = self.patient_api.answer(self.path)
        if answer.body is None:
            self.close_connection = True
            return
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        body = text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read `asked` instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up in the middle is what some tests are about."""


@contextmanager
def fhir_server() -> Iterator[FhirServer]:
    """A server on a free port of this machine."""
    patient_api = FhirServer()
    handler = type("Handler", (_Handler,), {"patient_api": patient_api})
    server = _Server(("127.0.0.1", 0), handler)
    patient_api.url = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield patient_api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def bundle(*resources: Any, next_url: str | None = None, **fields: Any) -> dict[str, Any]:
    links = [] if next_url is None else [{"relation": "next", "url": next_url}]
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries} | fields


def appointment(appointment_id: str = "a1", patient_id: str = "p1", **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": appointment_id,
        "status": "booked",
        "start": "2026-11-27T10:00:00+01:00",
        "comment": "clinical secret",
        "description": "clinical secret",
        "participant": [
            {"actor": {"reference": "Practitioner/d1"}},
            {"status": "accepted"},
            {"actor": {"reference": f"Patient/{patient_id}"}},
            {"actor": {"reference": "Location/l1", "display": "Old name"}},
        ],
    } | fields


def patient(patient_id: str = "p1", **fields: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": patient_id, "name": [{"given": ["Anna"]}]} | fields


LOCATION = {"resourceType": "Location", "id": "l1", "name": "Building 2"}
