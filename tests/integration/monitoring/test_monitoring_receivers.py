"""Debian's Alertmanager with the routes of deploy/, sending to a mail server and stand-ins of Slack and PagerDuty."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from stack.loopback import answers_ok, open_local
from stack.ports import pick_free
from tests.integration.monitoring.plant import running_alertmanager
from tests.integration.monitoring.queries import alerts
from tests.integration.ward import wait_for

ALERTS = alerts()


class Desk:
    """What was posted to Slack and to PagerDuty, by path."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.posted.append((self.path, json.loads(body)))
                self.send_response(202 if self.path == "/pagerduty" else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """No news."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def said(self, path: str) -> str:
        return json.dumps([body for where, body in self.posted if where == path])


class MailServer:
    """Keeps the mails of whoever logs in with the right password."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=pick_free(),
            authenticator=self.let_in,
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],  # aiosmtpd asks in words that Alertmanager does not know
        )

    def let_in(self, *asked: Any) -> AuthResult:
        login = asked[-1]
        return AuthResult(success=(login.login, login.password) == (b"monitoring@hospital.example", b"a secret"))

    async def handle_DATA(self, _: object, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if not session.authenticated:
            return "530 5.7.0 log in first"
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, EmailMessage, policy=email.policy.default))
        return "250 OK"

    def about(self, name: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if name in mail["Subject"]]


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.controller.start()
    yield server
    server.controller.stop()


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    desk = Desk()
    thread = threading.Thread(target=desk.server.serve_forever)
    thread.start()
    yield desk
    desk.server.shutdown()
    thread.join()
    desk.server.server_close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory, mail_server: MailServer, desk: Desk) -> Iterator[str]:
    """Where its API is. It has the routes as they are, and is in a hurry."""
    folder = tmp_path_factory.mktemp("alertmanager")
    secrets = {
        "smtp_password": "a secret",
        "slack_webhook_url": f"{desk.url}/slack",
        "pagerduty_routing_key": "the-key",
    }
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
    elsewhere = {f"/etc/alertmanager/secrets/{name}": str(folder / name) for name in secrets}
    smarthost = f"127.0.0.1:{mail_server.controller.port}"
    servers = f"smtp_smarthost: {smarthost}\n  smtp_require_tls: false\n  pagerduty_url: {desk.url}/pagerduty"
    haste = {"group_wait: 30s": "group_wait: 1s", "group_wait: 10s": "group_wait: 1s"} | {
        "group_interval: 5m": "group_interval: 1s"
    }
    changes = elsewhere | haste | {"smtp_smarthost: mail.hospital.example:587": servers}
    with running_alertmanager(folder, changes) as url:
        wait_for(lambda: answers_ok(f"{url}/-/ready"), seconds=60)
        yield url


def post(alertmanager: str, names: Sequence[str], *, over: bool = False) -> None:
    """These alerts, as Prometheus would send them."""
    now = datetime.now(UTC).isoformat()
    end = {"endsAt": now} if over else {}
    body = [
        {
            "labels": {"alertname": name, "severity": rule["labels"]["severity"]},
            "annotations": rule["annotations"],
            "startsAt": now,
        }
        | end
        for name, rule in ((name, ALERTS[name]) for name in names)
    ]
    request = Request(
        f"{alertmanager}/api/v2/alerts",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with open_local(request, timeout_seconds=10) as answer:
        assert answer.status == 200


def plain_text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_critical_alert_comes_by_mail_slack_and_pagerduty_and_so_does_its_end(
    alertmanager: str, mail_server: MailServer, desk: Desk
) -> None:
    post(alertmanager, ["NoPlan"])
    wait_for(lambda: len(mail_server.about("NoPlan")) == 1 and len(desk.posted) == 2)
    mail = mail_server.about("NoPlan")[0]
    assert (mail["To"], mail["From"]) == ("it@hospital.example", "monitoring@hospital.example")
    assert mail["Subject"] == "carenotify: Today's reminders are not planned [NoPlan]"
    text = plain_text(mail)
    assert text.startswith("Today's reminders are not planned\n")
    assert "What to do: docs/operations.md#no_plan" in text
    assert "Today's reminders are not planned" in desk.said("/slack")
    assert "#appointment-reminders" in desk.said("/slack")
    event = next(body for path, body in desk.posted if path == "/pagerduty")
    assert (event["routing_key"], event["event_action"]) == ("the-key", "trigger")
    assert (event["payload"]["severity"], event["payload"]["summary"]) == (
        "critical",
        "Today's reminders are not planned",
    )

    post(alertmanager, ["NoPlan"], over=True)
    wait_for(lambda: len(mail_server.about("NoPlan")) == 2 and '"resolve"' in desk.said("/pagerduty"))
    assert plain_text(mail_server.about("NoPlan")[1]).startswith("Over: Today's")


def test_a_warning_wakes_nobody(alertmanager: str, mail_server: MailServer, desk: Desk) -> None:
    post(alertmanager, ["LoadHeld", "AlertsAlive"])
    wait_for(lambda: mail_server.about("LoadHeld") != [] and "held back" in desk.said("/slack"))
    assert "held back" not in desk.said("/pagerduty")
    assert mail_server.about("AlertsAlive") == []


def test_one_lost_node_hides_nothing_else(alertmanager: str, mail_server: MailServer) -> None:
    post(alertmanager, ["BrokerDown", "DatabaseUnmeasured"])
    wait_for(lambda: bool(mail_server.about("BrokerDown") and mail_server.about("DatabaseUnmeasured")))
    post(alertmanager, ["SendingStalled", "QueueNotServed", "UrgentStalled"])
    for name in ("SendingStalled", "QueueNotServed", "UrgentStalled"):
        wait_for(lambda name=name: mail_server.about(name) != [])
    post(alertmanager, ["SendingStalled", "QueueNotServed", "UrgentStalled"], over=True)
    for name in ("SendingStalled", "QueueNotServed", "UrgentStalled"):
        wait_for(lambda name=name: len(mail_server.about(name)) == 2)
    mail_server.mails.clear()


def test_what_follows_from_another_alert_is_not_told(alertmanager: str, mail_server: MailServer) -> None:
    post(alertmanager, ["DatabaseDown"])
    wait_for(lambda: mail_server.about("DatabaseDown") != [])
    post(alertmanager, ["SendingStalled", "ApiErrors", "DiskLow"])
    wait_for(lambda: mail_server.about("DiskLow") != [])
    assert mail_server.about("SendingStalled") == []
    assert mail_server.about("ApiErrors") == []
