"""What staff were told of, as the page lists it."""

from __future__ import annotations

from datetime import timedelta

from desk import Desk

from carenotify.app import App
from carenotify.domain.access import Scope
from carenotify.domain.alert import ABOUT, AlertKind, NewAlert
from carenotify.storage import alerts
from tests.integration.ward import NOON

VIEWER = "viewer.to.ken"


def raise_some(app: App, *new: NewAlert) -> None:
    with app.database.transaction() as transaction:
        for place, each in enumerate(new):
            alerts.raise_alerts(transaction, [each], now=NOON + timedelta(minutes=place))


def test_without_any_the_list_is_empty(desk: Desk) -> None:
    assert desk.call_with(VIEWER, "GET", "/alerts").get_json() == {"alerts": [], "cursor": None}


def test_they_are_listed_newest_first_page_by_page(desk: Desk, app: App) -> None:
    raise_some(app, *(NewAlert(AlertKind.TASK_FAILED, f"run {number}") for number in range(5)))
    first = desk.call_with(VIEWER, "GET", "/alerts?limit=2").get_json()
    assert [alert["subject"] for alert in first["alerts"]] == ["run 4", "run 3"]
    second = desk.call_with(VIEWER, "GET", f"/alerts?limit=3&cursor={first['cursor']}").get_json()
    assert [alert["subject"] for alert in second["alerts"]] == ["run 2", "run 1", "run 0"]
    assert second["cursor"] is None


def test_each_says_what_happened_how_bad_it_is_and_what_to_do(desk: Desk, app: App) -> None:
    raise_some(app, NewAlert(AlertKind.NO_PLAN, "2026-11-24", "no_plan:2026-11-24", details={"day": "2026-11-24"}))
    (told,) = desk.call_with(VIEWER, "GET", "/alerts").get_json()["alerts"]
    about = ABOUT[AlertKind.NO_PLAN]
    assert {name: value for name, value in told.items() if name != "id"} == {
        "kind": "no_plan",
        "title": about.title,
        "severity": about.severity,
        "subject": "2026-11-24",
        "channel": None,
        "count": 1,
        "details": {"day": "2026-11-24"},
        "raised_at": "2026-11-24T08:30:00Z",
        "resolved_at": None,
        "mailed_at": None,
        "what_to_do": about.what_to_do,
    }


def test_the_overview_shows_the_last_ten_and_how_many_are_not_mailed(desk: Desk, app: App) -> None:
    raise_some(app, *(NewAlert(AlertKind.TASK_FAILED, f"run {number}") for number in range(12)))
    listed = desk.call_with(VIEWER, "GET", "/alerts?limit=10").get_json()["alerts"]
    found = desk.call_with(VIEWER, "GET", "/overview").get_json()
    assert found["alerts"] == listed
    assert found["alerts_unmailed"] == 12


def test_a_page_that_is_none_is_a_problem(desk: Desk) -> None:
    for query in ("cursor=0", "cursor=x", f"cursor={2**63}", "limit=0", "limit=201", "kind=x"):
        assert desk.call_with(VIEWER, "GET", f"/alerts?{query}").status_code == 422, query


def test_a_cursor_past_everything_brings_an_empty_page(desk: Desk) -> None:
    assert desk.call_with(VIEWER, "GET", "/alerts?cursor=1").get_json() == {"alerts": [], "cursor": None}


def test_who_may_read_none_of_it_is_refused(desk: Desk) -> None:
    assert desk.call("GET", "/alerts", scopes={Scope.DEAD_LETTERS_READ}).status_code == 403
