"""The watchdog hurts nothing of what it watches over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from carenotify.config import Settings
from carenotify.journeys.keep_watch import Watchdog
from carenotify.worker.watchdog import WatchdogLoop


def settings(**others: Any) -> Settings:
    usual = {
        "alert_to": ("staff@hospital.example",),
        "alert_plan_grace_minutes": 15.0,
        "alert_watch_silence_minutes": 15.0,
        "alert_ingest_silence_hours": 3.0,
    }
    return cast(Settings, SimpleNamespace(**usual | others))


def watchdog(look: Any) -> Watchdog:
    return cast(Watchdog, SimpleNamespace(look=look))


def test_a_bug_in_a_round_is_logged_without_its_text_and_the_next_round_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds = []

    def look() -> None:
        rounds.append(1)
        raise ZeroDivisionError("Anna Muster")

    loop = WatchdogLoop(watchdog(look), settings(), no_alerts_because=None)
    loop.round()
    loop.round()
    assert len(rounds) == 2
    assert "ZeroDivisionError" in caplog.text
    assert "Anna" not in caplog.text


@pytest.mark.parametrize(
    ("others", "seconds"),
    [
        ({}, 30),
        ({"alert_plan_grace_minutes": 0.5}, 15),
        ({"alert_plan_grace_minutes": 0}, 30),
        ({"alert_watch_silence_minutes": 0.1}, 3),
        ({"alert_ingest_silence_hours": 0.001}, 1.8),
    ],
    ids=["usual", "plan", "no plans", "watch", "ingest"],
)
def test_it_looks_often_enough_for_the_shortest_patience(others: dict[str, float], seconds: float) -> None:
    loop = WatchdogLoop(watchdog(None), settings(**others), no_alerts_because=None)
    assert loop._interval_seconds == pytest.approx(seconds)
