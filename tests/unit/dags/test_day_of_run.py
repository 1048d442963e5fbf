"""Whose day a run is for, which no clearing changes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from carenotify.app import App
from tests.conftest import ROOT

LATE = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)  # 23:30 in Berlin
AFTER_MIDNIGHT = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # 00:30 there


@pytest.fixture
def day_of_run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function of the DAGs, which are in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "dags"))
    from day_of_run import day_of_run

    return day_of_run


def context(*, logical_date: datetime | None, run_after: datetime) -> dict[str, Any]:
    return {"logical_date": logical_date, "dag_run": SimpleNamespace(run_after=run_after)}


def app_that_is_asked_the_next_morning() -> App:
    settings = SimpleNamespace(timezone=ZoneInfo("Europe/Berlin"))
    now = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    return cast(App, SimpleNamespace(settings=settings, clock=lambda: now))


@pytest.mark.parametrize(
    ("found", "day"),
    [
        (context(logical_date=LATE, run_after=AFTER_MIDNIGHT), date(2026, 11, 24)),
        (context(logical_date=None, run_after=LATE), date(2026, 11, 24)),
        (context(logical_date=None, run_after=AFTER_MIDNIGHT), date(2026, 11, 25)),
    ],
    ids=["with a logical date", "by hand", "by hand after midnight"],
)
def test_a_run_that_is_cleared_the_next_morning_keeps_its_day(
    day_of_run: Any, found: dict[str, Any], day: date
) -> None:
    assert day_of_run(found, app_that_is_asked_the_next_morning(), asked=None) == day


def test_the_day_that_is_asked_for_comes_first(day_of_run: Any) -> None:
    run = context(logical_date=LATE, run_after=LATE)
    assert day_of_run(run, app_that_is_asked_the_next_morning(), asked="2026-11-20") == date(2026, 11, 20)
