"""A small stand-in for Amazon SES and SNS that does what a test tells it to."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import pytest
from scripted_servers import CUT, HANG, HttpServer, serving

SES_PATH = "/v2/email/outbound-emails"
ASKED = "CheckIfPhoneNumberIsOptedOut"


@dataclass
class AwsServer:
    """`refuse` and `body` (which may be CUT or HANG) are for the calls that hand a message over, or for `at`."""

    at: str = ""
    status: int = 200
    body: str | None = None
    error: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    calls: list[tuple[str, dict[str, Any], Mapping[str, str]]] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        self.status, self.error, self.headers = status, (code, message), headers

    def recover(self) -> None:
        self.status, self.body, self.error, self.headers = 200, None, None, {}

    @property
    def handed_over(self) -> list[dict[str, Any]]:
        return [parameters for action, parameters, _ in self.calls if action != ASKED]


class _AwsHandler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    world: AwsServer

    def setup(self) -> None:
        super().setup()
        self.world.connections += 1

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_ses = self.path == SES_PATH
        parameters = json.loads(content) if is_ses else dict(parse_qsl(content))
        action = "SendEmail" if is_ses else parameters["Action"]
        self.world.calls.append((action, parameters, dict(self.headers)))
        if self.world.at == action or (not self.world.at and action != ASKED):
            self._as_told(action, is_ses=is_ses)
        else:
            self._answer(200, self._success(action, parameters), {})

    def _as_told(self, action: str, *, is_ses: bool) -> None:
        world = self.world
        if world.body == HANG:
            world.over.wait()
        if world.body in (CUT, HANG):
            self.close_connection = True
            return
        headers = dict(world.headers)
        if world.error is not None:
            headers |= {"x-amzn-ErrorType": world.error[0]} if is_ses else {}
            self._answer(world.status, _refusal(*world.error, is_ses=is_ses), headers)
        else:
            _, parameters, _ = world.calls[-1]
            body = world.body if world.body is not None else self._success(action, parameters)
            self._answer(world.status, body, headers)

    def _success(self, action: str, parameters: dict[str, Any]) -> str:
        number = len(self.world.calls)
        if action == "SendEmail":
            return json.dumps({"MessageId": f"ses-{number}"})
        if action == ASKED:
            opted_out = str(parameters["phoneNumber"] in self.world.opted_out).lower()
            return _xml(action, f"<isOptedOut>{opted_out}</isOptedOut>")
        return _xml(action, f"<MessageId>sns-{number}</MessageId>")

    def _answer(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing of the calls on the test's output."""


def _xml(action: str, result: str) -> str:
    return (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{result}'
        f"</{action}Result></{action}Response>"
    )


def _refusal(code: str, message: str, *, is_ses: bool) -> str:
    if is_ses:
        return json.dumps({"message": message})
    return (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )


@contextmanager
def aws_server() -> Iterator[AwsServer]:
    world = AwsServer()
    with HttpServer(("127.0.0.1", 0), type("Handler", (_AwsHandler,), {"world": world})) as server:
        world.url = f"http://127.0.0.1:{server.server_address[1]}"
        with serving(server, world.over):
            yield world


@contextmanager
def aws_environment(url: str | None = None, **others: str) -> Iterator[None]:
    """The variables that AWS' SDK reads, and nothing of this machine's own."""
    chosen = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nowhere/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
        "AWS_ENDPOINT_URL": url or "",
    } | others
    with pytest.MonkeyPatch.context() as environment:
        for name, value in chosen.items():
            if value:
                environment.setenv(name, value)
            else:
                environment.delenv(name, raising=False)
        yield


def mail_of(parameters: Mapping[str, Any]) -> bytes:
    """The mail that a call to SES carries."""
    return base64.b64decode(parameters["Content"]["Raw"]["Data"])
