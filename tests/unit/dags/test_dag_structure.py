"""What every DAG file keeps to, and how the one that ingests appointments is made."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def found(dags: dict[str, Any]) -> Any:
    return dags["ingest_appointments"]


def test_every_dag_file_can_be_imported_without_a_database(dags_by_variant: dict[str, Any]) -> None:
    assert dags_by_variant["as set"]["errors"] == []
    assert {"ingest_appointments", "send_reminders"} <= dags_by_variant["as set"]["dags"].keys()


def test_ingesting_runs_every_half_hour_one_at_a_time_without_catching_up(found: dict[str, Any]) -> None:
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)
    assert (found["schedule"], found["zone"]) == ("*/30 * * * *", "Europe/Berlin")
    assert set(found["params"]) == {"days_ahead", "first_day", "release_run_id"}


def test_days_are_mapped_and_retried_with_growing_delays(found: dict[str, Any]) -> None:
    task = found["tasks"]["fetch_day"]
    assert task["mapped"]
    assert (task["retries"], task["backoff"], task["at_once"]) == (3, 2.0, 4)


def test_a_failed_day_stops_neither_the_load_nor_the_closing_check(found: dict[str, Any]) -> None:
    tasks = found["tasks"]
    assert tasks["fetch_missing"]["upstream"] == ["fetch_day", "fetch_updates"]
    assert tasks["fetch_missing"]["rule"] == tasks["close_load"]["rule"] == "all_done_min_one_success"
    assert tasks["load_appointments"]["rule"] == tasks["check_load"]["rule"] == "all_success"
    assert tasks["close_load"]["retries"] == 0


def test_failures_are_mailed_once_a_run_when_there_is_somebody_to_mail(dags_by_variant: dict[str, Any]) -> None:
    for dag in dags_by_variant["as set"]["dags"].values():
        assert dag["callbacks"] == ["SmtpNotifier"]
    for dag in dags_by_variant["nobody to mail"]["dags"].values():
        assert dag["callbacks"] == []


def test_a_missing_setting_is_an_import_error_that_names_it(dags_by_variant: dict[str, Any]) -> None:
    errors = dags_by_variant["no time zone"]["errors"]
    assert errors
    assert all("CARENOTIFY_TIMEZONE: is not set" in error for error in errors)


def test_a_wrong_time_zone_is_an_import_error_that_names_it(dags_by_variant: dict[str, Any]) -> None:
    errors = dags_by_variant["a wrong time zone"]["errors"]
    assert errors
    assert all("CARENOTIFY_TIMEZONE: 'Europe/Atlantis' is not a time zone" in error for error in errors)
