from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import RemoteDisconnected
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from carenotify.metrics import Exposition
from carenotify.worker.health import HealthServer


def scrape(accept: str) -> Exposition:
    return Exposition(b"sent 3\n", f"text/plain; asked={accept}")


@contextmanager
def serving(ready: Callable[[], bool]) -> Iterator[str]:
    server = HealthServer(
        host="127.0.0.1",
        port=0,
        ready=ready,
        state=lambda: {"channels": {"sms": {"sent": 3}}},
        scrape=scrape,
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def ask(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_ready_says_by_its_status_whether_it_can_deliver(ready: bool, status: int) -> None:
    with serving(lambda: ready) as url:
        answered, body = ask(f"{url}/ready")
    assert answered == status
    assert json.loads(body) == {"ready": ready, "channels": {"sms": {"sent": 3}}}


def test_health_does_not_ask_whether_it_is_ready() -> None:
    def never() -> bool:
        raise AssertionError("a probe of the process must not wait for the servers it uses")

    with serving(never) as url:
        assert ask(f"{url}/health") == (200, '{"health":true,"channels":{"sms":{"sent":3}}}')


def test_a_probe_that_dies_is_logged_by_kind_and_place(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "Xanthippe"

    def bug() -> bool:
        raise RuntimeError(name)

    with serving(bug) as url, pytest.raises(RemoteDisconnected):
        urlopen(f"{url}/ready", timeout=5)
    (line,) = caplog.messages
    assert line.startswith("a probe was not answered: RuntimeError at ")
    assert name not in caplog.text
    assert capsys.readouterr().err == ""


def test_it_serves_nothing_else() -> None:
    with serving(lambda: True) as url:
        assert ask(f"{url}/")[0] == 404


def test_a_port_in_use_is_an_error_at_once() -> None:
    with serving(lambda: True) as url, pytest.raises(OSError, match="in use"):
        HealthServer(host="127.0.0.1", port=int(url.rpartition(":")[2]), ready=lambda: True, state=dict, scrape=scrape)


def test_metrics_are_given_as_they_are_asked_for_and_never_ask_whether_it_is_ready() -> None:
    def never() -> bool:
        raise AssertionError("was asked")

    with serving(never) as url, urlopen(Request(f"{url}/metrics", headers={"Accept": "a/b"}), timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"sent 3\n")
        assert answer.headers["Content-Type"] == "text/plain; asked=a/b"
