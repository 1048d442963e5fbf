"""The Twilio-shaped provider, as Twilio's own SDK sees it."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from carenotify.sandbox.server import SandboxServer
from carenotify.sandbox.twilio_numbers import BY_SUFFIX, Fate, Refusal

SID, TOKEN = "AC" + "1" * 32, "a token"
GOOD = "+4915112341234"
SENDER = "+4915112349999"


class Redirected(TwilioHttpClient):
    """Sends what is meant for api.twilio.com to the sandbox."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=5, pool_connections=False)
        self._base = base

    def request(self, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *arguments, **named)


ANSWER = b"<Response/>"


class Receiver(ThreadingHTTPServer):
    """Stands where our receipts endpoint will: keeps path, form and signature of each call."""

    daemon_threads = True

    def __init__(self, status: int = 204) -> None:
        super().__init__(("127.0.0.1", 0), Receipt)
        self.status = status
        self.calls: list[tuple[str, dict[str, str], str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/receipts"


class Receipt(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
        url = self.server.url.removesuffix("/receipts") + self.path
        self.server.calls.append((url, form, self.headers["X-Twilio-Signature"]))
        # As Airflow's API server does, compress for whoever does not say that they cannot read it.
        compressed = "gzip" in self.headers.get("Accept-Encoding", "gzip")
        body = gzip.compress(ANSWER) if compressed else ANSWER
        self.send_response(self.server.status)
        if self.server.status != 204:
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Encoding", "gzip" if compressed else "identity")
        self.end_headers()
        if self.server.status != 204:
            self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(
        reminder_day=date(2026, 11, 24),
        timezone=ZoneInfo("Europe/Berlin"),
        twilio_account_sid=SID,
        twilio_auth_token=TOKEN,
        callback_delay_seconds=(0.01, 0.05),
    ) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: SandboxServer) -> Client:
    return Client(SID, TOKEN, http_client=Redirected(server.url))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited for 10 s"
        time.sleep(0.01)


def text(client: Client, to: str = GOOD, **named: Any) -> Any:
    return client.messages.create(to=to, from_=SENDER, body="Ihr Termin", **named)


def test_the_sdk_sends_looks_up_and_lists(server: SandboxServer, client: Client) -> None:
    sent = text(client, status_callback="http://127.0.0.1:9/r?notification_id=n-1", validity_period=600)
    assert sent.sid.startswith("SM")
    assert (sent.status, sent.error_code, sent.num_segments) == ("queued", None, "1")
    assert sent.date_created is not None
    assert client.messages(sent.sid).fetch().status == "delivered"
    text(client, to="+4915112341235")
    assert [message.sid for message in client.messages.list(to=GOOD)] == [sent.sid]
    assert len(client.messages.list(page_size=1)) == 2
    assert server.counts() == {"n-1": {"channel": "sms", "times": 1}}


def test_what_arrived_can_be_read_and_duplicates_are_counted(server: SandboxServer, client: Client) -> None:
    for _ in range(2):
        text(client, status_callback="http://127.0.0.1:9/r?notification_id=n-1")
    assert server.counts()["n-1"]["times"] == 2
    answer = requests.get(server.url + "/messages", params={"notification_id": "n-1"}, timeout=5).json()
    assert [(message["to"], message["body"]) for message in answer["messages"]] == [(GOOD, "Ihr Termin")] * 2


@pytest.mark.parametrize("suffix", [key for key, fate in BY_SUFFIX.items() if isinstance(fate, Refusal)])
def test_numbers_that_are_refused(server: SandboxServer, client: Client, suffix: str) -> None:
    with pytest.raises(TwilioRestException) as refused:
        text(client, to="+491511234" + suffix)
    expected = BY_SUFFIX[suffix]
    assert isinstance(expected, Refusal)
    assert (refused.value.status, refused.value.code) == (expected.status, expected.code)
    assert server.ledger.without_id["sms"] == 0


def test_what_a_provider_took_has_not_always_arrived(server: SandboxServer, client: Client) -> None:
    text(client, status_callback="http://127.0.0.1:9/r?notification_id=arrives")
    text(client, to="+4915112340005", status_callback="http://127.0.0.1:9/r?notification_id=unknown-handset")
    assert server.counts().keys() == {"arrives", "unknown-handset"}
    assert requests.get(server.url + "/arrived", timeout=5).json() == {"notification_ids": ["arrives"]}


@pytest.mark.parametrize("suffix", [key for key, fate in BY_SUFFIX.items() if isinstance(fate, Fate)])
def test_numbers_that_are_accepted_and_fail_later(client: Client, suffix: str) -> None:
    expected = BY_SUFFIX[suffix]
    assert isinstance(expected, Fate)
    sent = text(client, to="+491511234" + suffix)
    assert (sent.status, sent.error_code) == ("queued", None)
    later = client.messages(sent.sid).fetch()
    assert (later.status, later.error_code) == (expected.status, expected.error_code)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"From": SENDER, "Body": "x"}, 21604),
        ({"To": GOOD, "From": SENDER}, 21602),
        ({"To": GOOD, "Body": "x"}, 21603),
        ({"To": GOOD, "From": SENDER, "Body": "x" * 1601}, 21617),
    ],
)
def test_what_is_missing_or_too_long_is_refused(server: SandboxServer, form: dict[str, str], code: int) -> None:
    url = f"{server.url}/2010-04-01/Accounts/{SID}/Messages.json"
    answer = requests.post(url, data=form, auth=(SID, TOKEN), timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_wrong_credentials_are_refused(server: SandboxServer) -> None:
    stranger = Client(SID, "another token", http_client=Redirected(server.url))
    with pytest.raises(TwilioRestException) as refused:
        text(stranger)
    assert refused.value.status == 401


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("503", 503)])
def test_temporary_errors_accept_nothing(server: SandboxServer, client: Client, fault: str, status: int) -> None:
    server.faults.script("twilio", fault)
    with pytest.raises(TwilioRestException) as refused:
        text(client)
    assert refused.value.status == status
    assert server.ledger.without_id["sms"] == 0


@pytest.mark.parametrize(("fault", "taken"), [("cut", 0), ("accept-then-cut", 1)])
def test_a_cut_connection_comes_before_or_after_accepting(
    server: SandboxServer, client: Client, fault: str, taken: int
) -> None:
    server.faults.script("twilio", fault)
    with pytest.raises(requests.ConnectionError):
        text(client)
    assert server.ledger.without_id["sms"] == taken


def test_callbacks_are_signed_and_tell_the_whole_way(client: Client, receiver: Receiver) -> None:
    callback = receiver.url + "?notification_id=n-1"
    sent = text(client, status_callback=callback)
    until(lambda: {form["MessageStatus"] for _, form, _ in receiver.calls} == {"sent", "delivered"})
    for url, form, signed in receiver.calls:
        assert url == callback
        assert form["MessageSid"] == sent.sid
        assert RequestValidator(TOKEN).validate(url, form, signed)


def test_a_failed_message_says_why_in_its_callback(client: Client, receiver: Receiver) -> None:
    text(client, to="+4915112340005", status_callback=receiver.url)
    until(lambda: any(form["MessageStatus"] == "undelivered" for _, form, _ in receiver.calls))
    codes = {form["MessageStatus"]: form.get("ErrorCode") for _, form, _ in receiver.calls}
    assert codes["undelivered"] == "30005"


def test_some_callbacks_come_twice_and_some_in_the_wrong_order(
    server: SandboxServer, client: Client, receiver: Receiver
) -> None:
    for _ in range(100):
        text(client, status_callback=receiver.url)
    twice, disorder = (server.faults.counted[f"callbacks:{kind}"] for kind in ("twice", "out-of-order"))
    assert twice > 0
    assert disorder > 0
    until(lambda: len(receiver.calls) == 200 + twice)


def test_a_missing_endpoint_is_not_flooded(server: SandboxServer, client: Client, receiver: Receiver) -> None:
    receiver.status = 404
    for _ in range(60):
        text(client, status_callback=receiver.url)
    until(lambda: len(receiver.calls) >= 20)
    until(lambda: server.sandbox.callbacks.resting(receiver.url))
    asked = len(receiver.calls)
    text(client, status_callback=receiver.url)
    assert asked <= 20 + 16, "what was under way when the pause began may still come"
    assert server.faults.counted["callbacks:made"] == 0


def test_a_reply_is_posted_signed_and_stop_bars_the_number(
    server: SandboxServer, client: Client, receiver: Receiver
) -> None:
    def reply(body: str, **more: str) -> requests.Response:
        wanted = {"from": GOOD, "body": body, "url": receiver.url} | more
        return requests.post(server.url + "/twilio/inbound", json=wanted, timeout=5)

    assert reply("Stop").json()["status"] == 204
    url, form, signed = receiver.calls[0]
    assert (form["From"], form["Body"]) == (GOOD, "Stop")
    assert RequestValidator(TOKEN).validate(url, form, signed)
    with pytest.raises(TwilioRestException) as refused:
        text(client)
    assert refused.value.code == 21610
    reply("START")
    assert text(client).status == "queued"


def test_the_answer_to_a_reply_is_told_as_it_came(server: SandboxServer, receiver: Receiver) -> None:
    receiver.status = 200
    wanted = {"from": GOOD, "body": "Hello", "url": receiver.url}
    answer = requests.post(server.url + "/twilio/inbound", json=wanted, timeout=5)
    assert answer.json() == {"status": 200, "answer": ANSWER.decode()}


def test_a_reply_needs_somewhere_to_go(server: SandboxServer) -> None:
    answer = requests.post(server.url + "/twilio/inbound", json={"from": GOOD, "body": "hello"}, timeout=5)
    assert answer.status_code == 409


def test_an_answer_that_nobody_waits_for_any_more_is_counted(server: SandboxServer) -> None:
    server.faults.set({"answer_delay_ms": 300})
    form = {"From": SENDER, "To": GOOD, "Body": "x", "StatusCallback": "http://127.0.0.1:9/r?notification_id=n-1"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            f"{server.url}/2010-04-01/Accounts/{SID}/Messages.json", data=form, auth=(SID, TOKEN), timeout=0.1
        )
    assert server.counts()["n-1"]["times"] == 1
    until(lambda: requests.get(server.url + "/unanswered", timeout=5).json() == {"n-1": 1})


def test_dead_numbers_are_refused_or_found_out_late_and_always_the_same(server: SandboxServer, client: Client) -> None:
    server.faults.set({"dead_share": 1})
    codes = {}
    for number in range(20):
        to = f"+491511234{5000 + number}"
        for _ in range(2):
            try:
                sent = text(client, to=to)
                code = client.messages(sent.sid).fetch().error_code
            except TwilioRestException as refused:
                code = refused.code
            assert codes.setdefault(to, code) == code
    assert set(codes.values()) == {21211, 30005}


def test_without_receipts_nothing_is_called_back(server: SandboxServer, client: Client, receiver: Receiver) -> None:
    server.faults.set({"receipts_mode": "off"})
    text(client, status_callback=receiver.url)
    server.faults.set({"receipts_mode": "on"})
    text(client, status_callback=receiver.url + "?second")
    until(lambda: len(receiver.calls) >= 2)
    assert all(url.endswith("?second") for url, _, _ in receiver.calls)
