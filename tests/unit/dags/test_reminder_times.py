"""When the reminder DAG begins and tries again follows from the settings, as Airflow reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT


@pytest.fixture
def early(dags_by_variant: dict[str, Any]) -> Any:
    return dags_by_variant["an early window"]["dags"]["send_reminders"]


def test_each_file_is_a_dag_of_its_name_or_is_ignored(dags: dict[str, Any]) -> None:
    ignored = {Path(name).stem for name in (ROOT / "dags" / ".airflowignore").read_text().split()}
    assert dags.keys() == {file.stem for file in (ROOT / "dags").glob("*.py")} - ignored


def test_reminders_begin_when_the_window_opens(early: dict[str, Any]) -> None:
    assert early["schedule"] == "30 6 * * *"


def test_an_airflow_that_is_installed_while_the_window_is_open_does_not_miss_it(early: dict[str, Any]) -> None:
    assert early["immediately_seconds"] == 90 * 60


def test_a_window_of_the_whole_day_opens_at_midnight(dags_by_variant: dict[str, Any]) -> None:
    assert dags_by_variant["a whole day"]["dags"]["send_reminders"]["schedule"] == "0 0 * * *"


def test_a_batch_is_not_tried_again_while_the_first_try_holds_its_rows(early: dict[str, Any]) -> None:
    publish = early["tasks"]["publish"]
    assert publish["retry_seconds"] > 200
    assert publish["backoff"] == 0  # which could only be capped to less


def test_a_run_id_with_a_quote_stays_inside_its_sql_text(dags: dict[str, Any]) -> None:
    assert "run.id = 'it''s a run'" in dags["ingest_appointments"]["tasks"]["counts_agree"]["sql"]
