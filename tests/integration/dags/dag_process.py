"""Runs in a process of its own, as Airflow's tasks do: plays one DAG, or calls its failure callbacks; prints JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")

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


if __name__ == "__main__":
    logging.disable(logging.NOTSET)
    verbs = {one.__name__: one for one in (play, play_without_retries, fail)}
    answer = verbs[sys.argv[1]](sys.argv[2], json.loads(sys.argv[3]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
