"""Plays DAGs as Airflow's executors run tasks: each in a fork of a process that has imported what takes long.

Reads a request a line, {verb, dag_id, conf, environment, log, answer}; the last two are files, which the fork writes:
all that it logged, and what came of it as JSON. Answers each with a line, the fork's exit code.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
# Airflow logs to standard output, also while it is imported; answers have that for themselves.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import airflow.api_fastapi.execution_api.app  # noqa: E402  # what a task asks its supervisor for
import airflow.sdk.execution_time.supervisor  # noqa: E402, F401
import great_expectations  # noqa: E402, F401
from airflow.dag_processing.dagbag import DagBag  # noqa: E402


def _dag(dag_id: str) -> Any:
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    if bag.import_errors:
        sys.exit(json.dumps({"import_errors": list(bag.import_errors.values())}))
    return bag.dags[dag_id]


def play(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Run every task of the DAG here, without a scheduler."""
    return _play(_dag(dag_id), conf)


def play_without_retries(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """A run in which every task has one try."""
    dag = _dag(dag_id)
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return _play(dag, conf)


def _play(dag: Any, conf: dict[str, Any]) -> dict[str, Any]:
    run = dag.test(run_conf=conf)
    tasks: dict[str, list[str]] = {}
    for instance in run.get_task_instances():
        tasks.setdefault(instance.task_id, []).append(str(instance.state))
    return {"run_id": run.run_id, "state": str(run.state), "tasks": tasks}


def fail(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Call the failure callbacks as the DAG processor does when it knows least: no task, no logical date."""
    dag = _dag(dag_id)
    callbacks = dag.on_failure_callback
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        callback({"dag": dag, "run_id": conf["run_id"], "reason": "task_failure"})
    return {"called": len(callbacks)}


def _die_with_the_parent() -> None:
    """Nothing plays on when the tests were killed (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


VERBS = {one.__name__: one for one in (play, play_without_retries, fail)}


def _in_a_fork(request: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        _die_with_the_parent()
        with Path(request["log"]).open("w") as log:
            for standard in (1, 2):
                os.dup2(log.fileno(), standard)
        os.environ.clear()
        os.environ.update(request["environment"])
        answer = VERBS[request["verb"]](request["dag_id"], request["conf"])
        Path(request["answer"]).write_text(json.dumps(answer))
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the test is to see it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _die_with_the_parent()
    for line in sys.stdin:
        print(_in_a_fork(json.loads(line)), file=ANSWERS, flush=True)
