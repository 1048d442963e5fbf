"""What every DAG file keeps to, and how the one that ingests appointments is made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture
def found(dags: dict[str, Any]) -> Any:
    return dags["ingest_appointments"]


def test_every_dag_file_can_be_imported_without_a_database(dags_by_variant: dict[str, Any]) -> None:
    assert dags_by_variant["as set"]["errors"] == []
    expected = {"ingest_appointments", "send_reminders", "watch_delivery", "replay_dead_letters"}
    assert expected <= dags_by_variant["as set"]["dags"].keys()


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


@pytest.mark.parametrize("variant", ["as set", "nobody to mail", "mail by SES"])
def test_staff_are_told_once_of_each_run_that_fails_or_is_late(dags_by_variant: dict[str, Any], variant: str) -> None:
    for name, dag in dags_by_variant[variant]["dags"].items():
        assert dag["callbacks"] == ["LoadFailed" if name == "ingest_appointments" else "RunFailed"], name
        (deadline,) = dag["deadlines"]
        assert deadline["reference"] == "DagRunQueuedAtDeadline", name
        assert deadline["callback"] == "alert_mails.DeadlineMissed", name
        assert deadline["callable"], name
        assert deadline["arguments"]["what_to_do"] in dag["doc"], name


def test_each_dag_has_a_deadline_that_leaves_time_to_act(dags: dict[str, Any]) -> None:
    minutes = {name: dag["deadlines"][0]["seconds"] / 60 for name, dag in dags.items()}
    assert minutes.pop("ingest_appointments") < 30  # when the next one is due
    assert minutes.pop("send_reminders") <= 30  # of a window of three hours
    assert minutes.pop("watch_delivery") <= 5
    assert all(0 < some <= 60 for some in minutes.values()), minutes


def test_every_dag_says_what_it_does_and_when_and_what_to_do_when_it_fails(dags: dict[str, Any]) -> None:
    for name, dag in dags.items():
        for said in ("**What it does.**", "**When.**", "**When it fails.**", "**More:**"):
            assert said in dag["doc"], (name, said)
        named = re.findall(r"docs/[a-z-]+\.md", dag["doc"])
        assert named, name
        assert [one for one in named if not (ROOT / one).is_file()] == [], name
        assert dag["tags"], name
        assert dag["title"] not in {name, ""}, name


def test_every_task_has_an_owner_a_plain_name_and_a_text(dags: dict[str, Any]) -> None:
    for dag_id, dag in dags.items():
        for task_id, task in dag["tasks"].items():
            assert task["owner"] == "carenotify", (dag_id, task_id)
            assert task["title"] not in {task_id, ""}, (dag_id, task_id)
            assert task["doc"], (dag_id, task_id)


def test_no_task_hands_the_text_of_a_foreign_error_to_airflow(dags: dict[str, Any]) -> None:
    private = {
        f"{dag_id}.{name}": task["private"] for dag_id, dag in dags.items() for name, task in dag["tasks"].items()
    }
    assert len(private) > 10
    assert [task for task, is_private in private.items() if not is_private] == []


def test_every_mapped_task_says_what_each_of_its_instances_is(dags: dict[str, Any]) -> None:
    mapped = {
        f"{dag_id}.{task_id}": task["label"]
        for dag_id, dag in dags.items()
        for task_id, task in dag["tasks"].items()
        if task["mapped"]
    }
    assert mapped.keys() >= {"ingest_appointments.fetch_day", "send_reminders.publish"}
    # The label stands there from the beginning, and also when the task fails: it needs no value made by it.
    assert all("task.op_kwargs" in label for label in mapped.values()), mapped


def test_every_field_of_a_form_has_a_title_and_a_description(dags: dict[str, Any]) -> None:
    fields = {(name, field): schema for name, dag in dags.items() for field, schema in dag["params"].items()}
    assert fields
    assert [where for where, schema in fields.items() if not (schema.get("title") and schema.get("description"))] == []


def test_a_missing_setting_is_an_import_error_that_names_it(dags_by_variant: dict[str, Any]) -> None:
    errors = dags_by_variant["no time zone"]["errors"]
    assert errors
    assert all("CARENOTIFY_TIMEZONE: is not set" in error for error in errors)


def test_a_wrong_time_zone_is_an_import_error_that_names_it(dags_by_variant: dict[str, Any]) -> None:
    errors = dags_by_variant["a wrong time zone"]["errors"]
    assert errors
    assert all("CARENOTIFY_TIMEZONE: 'Europe/Atlantis' is not a time zone" in error for error in errors)
