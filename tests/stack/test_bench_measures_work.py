"""A run of a DAG that had nothing to do is no figure."""

from __future__ import annotations

import pytest

from bench.airflow_day import _WORK, APPOINTMENTS, MOST_SECONDS, _check_work
from stack.errors import StackError


def test_a_measured_run_without_work_is_refused() -> None:
    _check_work("send_reminders", APPOINTMENTS)
    with pytest.raises(StackError, match="send_reminders had 0 appointments; 6400 are the least"):
        _check_work("send_reminders", 0)


def test_the_work_of_every_measured_dag_is_looked_at() -> None:
    assert _WORK.keys() == MOST_SECONDS.keys()
