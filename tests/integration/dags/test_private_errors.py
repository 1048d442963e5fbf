"""What a task dies of, as Airflow logs it: our own words, else its kind and place; and never what a patient's row held.

That a task of ours leaves nothing in any other place either is searched for in test_no_personal_data.
"""

from __future__ import annotations

import pytest

from tests.integration.dags.conftest import PlayDag
from tests.integration.dags.recognisable import leaks
from tests.integration.ward import process_settings


@pytest.fixture
def settings() -> dict[str, str]:
    """Of servers that nobody asks anything: whoever opens a connection has died before."""
    return process_settings("postgresql://127.0.0.1:9/none")


def test_errors_that_are_written_to_be_read_stay_and_others_are_told_by_kind_and_place(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    seen = dag_process("deaths", "", {}, settings)
    said = {
        "of a bug": "UnforeseenError: RuntimeError at",
        "by an exit": "UnforeseenError: SystemExit at",
        "in a way of ours": "StorageError: the database refused a statement",
        "for good": "AirflowFailException: there is nothing to be tried again",
        "skipped": "AirflowSkipException: there is nothing to do",
        "cut off": "AirflowTaskTimeout: this took too long",
    }
    assert seen.keys() == said.keys() | {"log"}
    for death, words in said.items():
        shown = seen[death]["shown"]
        assert words in shown
        assert ", in _die" in shown
        assert "after KeyError at" in shown
        assert ", after ValueError at" in shown
    assert leaks({death: seen[death]["shown"] for death in said}) == {}


def test_what_variables_held_is_not_in_the_log_for_developers_and_the_place_is(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    seen = dag_process("deaths", "", {}, settings)
    del seen["log"]
    shown = {death: seen[death]["shown to developers"] for death in seen}
    for death, words in shown.items():
        assert "locals" in words, death  # it does show variables, where there are any
        assert "deaths.py" in words
        assert "in _die" in words
    assert leaks(shown) == {}


def test_what_a_thread_of_a_task_dies_of_is_told_by_kind_and_place(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    log = dag_process("deaths", "", {}, settings)["log"]
    assert "thread beside it died of a RuntimeError at" in log
    assert leaks({"log": log}) == {}


def test_what_airflow_would_try_again_is_tried_again_and_nothing_else(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    seen = dag_process("deaths", "", {}, settings)
    for death in ("of a bug", "by an exit", "in a way of ours"):
        assert "AirflowException" not in seen[death]["classes"]
        assert "Exception" in seen[death]["classes"]
    # Airflow goes by these classes: the first is tried no more, nor is the second, and the third is no bug.
    assert seen["for good"]["classes"][0] == "AirflowFailException"
    assert seen["skipped"]["classes"][0] == "AirflowSkipException"
    assert seen["cut off"]["classes"][0] == "AirflowTaskTimeout"


def test_a_check_by_sql_says_no_more(dag_process: PlayDag, settings: dict[str, str]) -> None:
    dying = {"place": "airflow.sdk.BaseHook.get_connection", "only": "nothing_waits"}
    run = dag_process("die", "send_reminders", dying, settings)
    assert run["state"] == "failed"
    assert "UnforeseenError: RuntimeError at" in run["log"]
    assert leaks({"log": run["log"]}) == {}


@pytest.mark.parametrize("dag_id", ["send_reminders", "ingest_appointments"])
def test_what_tells_of_a_failure_says_no_more_when_it_fails_itself(
    dag_process: PlayDag, settings: dict[str, str], dag_id: str
) -> None:
    told = dag_process("fail_to_tell", dag_id, {"place": "alert_mails.opened_app"}, settings)
    assert "UnforeseenError: RuntimeError at" in told["log"]
    assert leaks({"log": told["log"]}) == {}


def test_airflows_api_server_is_told_no_more_of_a_request_that_died(
    dag_process: PlayDag, settings: dict[str, str]
) -> None:
    shown = dag_process("fail_to_serve", "", {}, settings)["shown"]
    assert "UnforeseenError: RuntimeError at" in shown
    assert ", in _die" in shown
    assert leaks({"shown": shown}) == {}
