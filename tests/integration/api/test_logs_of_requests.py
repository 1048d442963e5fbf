"""A request's correlation id is in its answer and in every line that is logged while it is served, and in no other."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from desk import Desk
from structlog.contextvars import get_contextvars

from carenotify.app import App


class _Contexts(logging.Handler):
    """Keeps what the lines of ours are about."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(get_contextvars() | {"logger": record.name})


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> _Contexts:
    handler = _Contexts()
    monkeypatch.setattr(logging.getLogger("carenotify"), "handlers", [handler])
    return handler


def test_an_error_is_found_in_the_logs_by_what_its_answer_says(
    desk: Desk, app: App, contexts: _Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(**_: Any) -> None:
        raise RuntimeError("Anna")

    monkeypatch.setattr("carenotify.api.routes.alerts.wiring", bug)
    given = desk.call("GET", "/alerts", headers={"X-Correlation-ID": "from-the-caller"})
    made = desk.call("GET", "/alerts", headers={"X-Correlation-ID": "Anna, +49 151"})
    assert (given.status_code, made.status_code) == (500, 500)
    ids = [json.loads(answer.text)["correlation_id"] for answer in (given, made)]
    assert ids == [answer.headers["X-Correlation-ID"] for answer in (given, made)]
    assert ids[0] == "from-the-caller"
    assert "Anna" not in ids[1]
    assert [one["correlation_id"] for one in contexts.seen if one["logger"] == "carenotify.api.problems"] == ids


def test_what_fails_on_the_way_of_an_answer_is_logged_by_kind_and_place(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "Anna"

    def bug(_: Any) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr(desk.client.application, "process_response", bug)
    assert desk.call("GET", f"/notifications/{name}").status_code == 500
    lines = [line.getMessage() for line in caplog.records if line.name == "carenotify.api"]
    assert len(lines) == 2  # it fails once more when the error is answered
    assert ["failed with RuntimeError" in line and "in bug" in line for line in lines] == [True, True]
    assert name not in caplog.text


def test_nothing_of_a_request_is_left_when_it_is_over(desk: Desk, contexts: _Contexts) -> None:
    assert desk.call("GET", "/health").status_code == 200
    logging.getLogger("carenotify.other").warning("later")
    assert contexts.seen[-1] == {"logger": "carenotify.other"}


def test_a_request_that_went_well_leaves_no_line(desk: Desk, contexts: _Contexts) -> None:
    assert desk.call("GET", "/alerts").status_code == 200
    assert contexts.seen == []
