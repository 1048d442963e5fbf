"""The replay DAG as Airflow reads it: it runs when a person says so, and its form takes what people choose by."""

from __future__ import annotations

from typing import Any

import pytest

from carenotify.domain.notification import Channel


@pytest.fixture
def found(dags: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = dags["replay_dead_letters"]
    return described


def test_it_runs_only_when_somebody_starts_it_and_one_at_a_time(found: dict[str, Any]) -> None:
    assert (found["timetable"], found["max_active_runs"]) == ("NullTimetable", 1)
    assert found["tags"]
    assert "docs/dead-letters.md" in found["doc"]


def test_the_form_takes_reasons_a_channel_a_limit_and_a_dry_run(found: dict[str, Any]) -> None:
    params = found["params"]
    assert set(params) == {"reasons", "channel", "most", "dry_run"}
    assert params["reasons"]["default"] == ["retries_spent"]
    assert params["channel"]["enum"] == [None, *Channel]
    assert (params["most"]["minimum"], params["most"]["default"]) == (1, 1000)
    assert params["dry_run"]["default"] is False


def test_its_one_task_is_retried_and_bounded_and_a_failed_run_is_mailed(found: dict[str, Any]) -> None:
    tasks = {name: [task["retries"], task["timeout"]] for name, task in found["tasks"].items()}
    assert tasks == {"replay": [3, 1200.0]}
    assert found["callbacks"] == ["RunFailed"]
