"""The DAG that mails the day's report as Airflow reads it: at its hour in the hospital, whatever the clocks do."""

from __future__ import annotations

from typing import Any

import pytest

from carenotify.channels.email.alert_mail import REPORT_ANSWER_SECONDS


@pytest.fixture
def found(dags: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = dags["mail_delivery_report"]
    return described


def test_it_runs_at_six_in_the_evening_in_the_hospital_also_when_the_clocks_change(found: dict[str, Any]) -> None:
    assert found["spring"] == [
        "2026-03-27T17:00:00+00:00",
        "2026-03-28T17:00:00+00:00",
        "2026-03-29T16:00:00+00:00",
        "2026-03-30T16:00:00+00:00",
    ]
    assert found["autumn"] == [
        "2026-10-23T16:00:00+00:00",
        "2026-10-24T16:00:00+00:00",
        "2026-10-25T17:00:00+00:00",
        "2026-10-26T17:00:00+00:00",
    ]


def test_it_runs_when_and_in_the_zone_that_is_set(dags_by_variant: dict[str, Any]) -> None:
    assert dags_by_variant["an early window"]["dags"]["mail_delivery_report"]["schedule"] == "45 20 * * *"
    elsewhere = dags_by_variant["in New York"]["dags"]["mail_delivery_report"]
    assert elsewhere["spring"][0] == "2026-03-27T22:00:00+00:00"


def test_a_wrong_time_is_an_import_error_that_names_it(dags_by_variant: dict[str, Any]) -> None:
    errors = dags_by_variant["a wrong time zone"]["errors"]
    assert any("CARENOTIFY_REPORT_TIME: 'six' is not a time of day" in error for error in errors)


def test_days_that_were_missed_are_not_mailed_in_a_heap(found: dict[str, Any]) -> None:
    assert (found["catchup"], found["max_active_runs"]) == (False, 1)


def test_a_mail_server_that_is_down_for_minutes_is_waited_for_and_then_staff_are_told(found: dict[str, Any]) -> None:
    mail = found["tasks"]["mail"]
    waits = [min(mail["retry_seconds"] * mail["backoff"] ** tried, 300) for tried in range(mail["retries"])]
    assert mail["retries"] >= 3
    assert sum(waits) > 5 * 60
    assert found["callbacks"] == ["RunFailed"]


def test_nobody_is_told_that_it_takes_too_long_while_it_still_has_tries(found: dict[str, Any]) -> None:
    mail = found["tasks"]["mail"]
    # Airflow adds up to as much again to each wait (TaskInstance.next_retry_datetime).
    waits = [min(2 * mail["retry_seconds"] * mail["backoff"] ** tried, 300) for tried in range(mail["retries"])]
    (deadline,) = found["deadlines"]
    assert (1 + mail["retries"]) * mail["timeout"] + sum(waits) < deadline["seconds"]


def test_a_try_has_time_for_a_mail_server_that_takes_its_own(found: dict[str, Any]) -> None:
    assert found["tasks"]["mail"]["timeout"] >= REPORT_ANSWER_SECONDS + 60


def test_the_form_takes_the_day_to_report(found: dict[str, Any]) -> None:
    assert found["params"].keys() == {"day"}
    assert (found["params"]["day"]["format"], found["params"]["day"]["default"]) == ("date", None)
