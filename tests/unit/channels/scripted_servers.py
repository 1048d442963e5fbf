"""Small servers that do what a test tells them to: a mail server and a Twilio-shaped one."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

CUT = "cut"
HANG = "hang"


class _Server(socketserver.ThreadingTCPServer):
    """Accepts many connections at once; its threads end with the test."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


@contextmanager
def serving(server: socketserver.BaseServer, over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailServer:
    """`script` maps a command (HELLO for the greeting, CONTENT for the last dot) to a reply, CUT or HANG.

    A whole line, as in "RCPT TO:<a@b.example>", is answered before its command is. `waits` says for how many seconds it
    thinks about one.
    """

    script: dict[str, str] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    mails_per_connection: int | None = None
    most_connections: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def recover(self) -> None:
        self.script.clear()


_USUAL = {
    "HELLO": "220 ready",
    "EHLO": "250 me",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    "CONTENT": "250 2.0.0 taken",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}


class _MailHandler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    world: MailServer

    def handle(self) -> None:
        self.world.connections += 1
        taken = 0
        most = self.world.most_connections
        if most is not None and self.world.connections > most:
            self.world.script["HELLO"] = "421 4.7.0 too many connections"
        if not self._reply("HELLO"):
            return
        while line := self.rfile.readline():
            command = line.split()[0].decode().upper() if line.split() else ""
            self.world.commands.append(command)
            whole = line.decode().strip()
            if not self._reply(whole if whole in self.world.script else command) or command == "QUIT":
                return
            if command == "DATA" and "DATA" not in self.world.script:
                mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                if "CONTENT" not in self.world.script:
                    self.world.mails.append(mail)
                if not self._reply("CONTENT"):
                    return
                taken += 1
                if taken == self.world.mails_per_connection:
                    return

    def _reply(self, command: str) -> bool:
        reply = self.world.script.get(command, _USUAL.get(command, "500 5.5.1 what?"))
        if command in self.world.waits:
            self.world.over.wait(self.world.waits[command])
        if reply == HANG:
            self.world.over.wait()
        if reply in (CUT, HANG):
            return False
        self.wfile.write(reply.encode() + b"\r\n")
        return True


@contextmanager
def mail_server() -> Iterator[MailServer]:
    world = MailServer()
    with _Server(("127.0.0.1", 0), type("Handler", (_MailHandler,), {"world": world})) as server:
        world.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        with serving(server, world.over):
            yield world


@dataclass
class TwilioServer:
    """Answers every message with `status`, `body` and `headers`; `body` may be CUT or HANG."""

    status: int = 201
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str], Mapping[str, str]]] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def refuse(self, status: int, code: int, message: str, **headers: str) -> None:
        self.status = status
        self.body = json.dumps({"code": code, "message": message, "more_info": "", "status": status})
        self.headers = headers

    def recover(self) -> None:
        self.status, self.body = 201, None


class _TwilioHandler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    world: TwilioServer

    def setup(self) -> None:
        super().setup()
        self.world.connections += 1

    def do_GET(self) -> None:
        self.world.calls.append((self.path, {}, dict(self.headers)))
        self._answer()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.world.calls.append((self.path, {name: values[0] for name, values in form.items()}, dict(self.headers)))
        self._answer()

    def _answer(self) -> None:
        if self.world.body == HANG:
            self.world.over.wait()
        if self.world.body in (CUT, HANG):
            self.close_connection = True
            return
        sid = f"SM{len(self.world.calls):032x}"
        answer = (self.world.body if self.world.body is not None else json.dumps({"sid": sid})).encode()
        self.send_response(self.world.status)
        for name, value in {**self.world.headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing of the calls on the test's output."""


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def twilio_server() -> Iterator[TwilioServer]:
    world = TwilioServer()
    with HttpServer(("127.0.0.1", 0), type("Handler", (_TwilioHandler,), {"world": world})) as server:
        world.url = f"http://127.0.0.1:{server.server_address[1]}"
        with serving(server, world.over):
            yield world
