"""Lists and stories that many ask for at once: what they leave for others."""

from __future__ import annotations

from uuid import uuid4

from desk import Desk

from carenotify.app import App

USER = "user.to.ken"
LISTS = [
    "/notifications",
    f"/notifications/{uuid4()}",
    "/dead-letters",
    "/dead-letters/1",
    "/dead-letters/reasons",
    "/alerts",
    "/providers",
]


def test_no_more_than_three_lists_are_looked_up_at_a_time(desk: Desk, app: App) -> None:
    with app.list_reads.one(), app.list_reads.one(), app.list_reads.one():
        answers = {path: desk.call_with(USER, "GET", path) for path in LISTS}
        assert desk.call_with(USER, "GET", "/overview").status_code == 200
    told = {(one.status_code, one.headers.get("Retry-After"), one.get_json()["detail"]) for one in answers.values()}
    busy = "Too many reports or lists are being worked out just now; ask again in a few seconds."
    assert told == {(503, "2", busy)}
    assert {desk.call_with(USER, "GET", path).status_code for path in LISTS} == {200, 404}


def test_lists_do_not_wait_for_reports(desk: Desk, app: App) -> None:
    with app.slow_reads.one(), app.slow_reads.one(), app.slow_reads.one():
        assert {desk.call_with(USER, "GET", path).status_code for path in LISTS} == {200, 404}
