"""The reminder DAG as Airflow reads it: its schedule, its retries and its form."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def found(dags: dict[str, Any]) -> Any:
    return dags["send_reminders"]


def test_it_runs_at_nine_in_the_hospital_also_when_the_clocks_change(found: dict[str, Any]) -> None:
    assert found["spring"] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
        "2026-03-30T07:00:00+00:00",
        "2026-03-31T07:00:00+00:00",
    ]
    assert found["autumn"] == [
        "2026-10-24T07:00:00+00:00",
        "2026-10-25T08:00:00+00:00",
        "2026-10-26T08:00:00+00:00",
        "2026-10-27T08:00:00+00:00",
    ]


def test_it_runs_in_the_zone_that_is_set(dags_by_variant: dict[str, Any]) -> None:
    elsewhere = dags_by_variant["in New York"]["dags"]["send_reminders"]
    assert elsewhere["spring"][0] == "2026-03-27T13:00:00+00:00"


def test_days_that_were_missed_are_not_run_and_no_two_runs_overlap(found: dict[str, Any]) -> None:
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)


def test_batches_are_mapped_and_retried_and_a_check_closes_the_run(found: dict[str, Any]) -> None:
    tasks = found["tasks"]
    assert set(tasks) == {"plan", "publish", "nothing_waits"}
    assert [tasks[name]["mapped"] for name in ("plan", "publish", "nothing_waits")] == [False, True, False]
    assert all(task["retries"] >= 3 for task in tasks.values())
    assert all(0 < task["timeout"] <= 3600 for task in tasks.values())
    assert tasks["publish"]["upstream"] == ["plan"]
    assert tasks["nothing_waits"]["upstream"] == ["publish"]
    # Nothing to publish is no failure, and is looked into all the same.
    assert tasks["nothing_waits"]["rule"] == "none_failed"


def test_the_form_takes_a_day_and_a_dry_run(found: dict[str, Any]) -> None:
    params = found["params"]
    assert set(params) == {"day", "dry_run"}
    assert (params["day"]["format"], params["day"]["default"]) == ("date", None)
    assert (params["dry_run"]["type"], params["dry_run"]["default"]) == ("boolean", False)
