"""The DAG that watches delivery as Airflow reads it: it looks often, and an outage is no storm of failed runs."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def found(dags: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = dags["watch_delivery"]
    return described


def test_it_looks_every_two_minutes_one_run_at_a_time_and_never_makes_up_for_missed_ones(found: dict[str, Any]) -> None:
    assert (found["schedule"], found["catchup"], found["max_active_runs"]) == ("*/2 * * * *", False, 1)
    assert found["tasks"]["mail"]["upstream"] == ["look"]


def test_an_outage_of_the_database_is_about_two_failed_runs_an_hour(found: dict[str, Any]) -> None:
    look = found["tasks"]["look"]
    waits = [min(look["retry_seconds"] * look["backoff"] ** tried, 120) for tried in range(look["retries"])]
    assert 25 * 60 < sum(waits) < 35 * 60
    # Being tried again is looking again.
    assert max(waits) <= 120
    assert sum(waits) + look["timeout"] < found["run_timeout_seconds"]


def test_a_mail_server_that_is_down_holds_up_no_look(found: dict[str, Any]) -> None:
    mail = found["tasks"]["mail"]
    waits = [min(mail["retry_seconds"] * mail["backoff"] ** tried, 60) for tried in range(mail["retries"])]
    assert mail["retries"] >= 2
    assert sum(waits) <= 2 * 60
