"""Plays DAGs as Airflow's executors run tasks: each in a fork of a process that has imported what takes long.

Reads a request a line, {verb, dag_id, conf, environment, log, answer}; the last two are files, which the fork writes:
all that it logged, and what came of it as JSON. Answers each with a line, the fork's exit code.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import json
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
# Shorter than what pytest gives a test: one that stands still is to say where.
MOST_SECONDS = 240
# Airflow logs to standard output, also while it is imported; answers have that for themselves.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import great_expectations  # noqa: E402, F401
import httpx  # noqa: E402
import structlog  # noqa: E402
from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse  # noqa: E402
from airflow.callbacks.callback_requests import DagCallbackRequest  # noqa: E402
from airflow.dag_processing.dagbag import DagBag  # noqa: E402
from airflow.dag_processing.processor import _execute_dag_callbacks  # noqa: E402
from airflow.sdk.execution_time.callback_supervisor import execute_callback  # noqa: E402
from airflow.sdk.execution_time.supervisor import in_process_api_server  # noqa: E402

from tests.integration.dags.deaths import deaths, fail_to_serve, put_a_bug  # noqa: E402


def _bag(dag_id: str) -> DagBag:
    """Only the file of that DAG; a test has read the others."""
    bag = DagBag(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / f"{dag_id}.py")
    if bag.import_errors:
        sys.exit(json.dumps({"import_errors": list(bag.import_errors.values())}))
    return bag


def _dag(dag_id: str) -> Any:
    return _bag(dag_id).dags[dag_id]


def play(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Run every task of the DAG here, without a scheduler."""
    return _play(_dag(dag_id), conf)


def play_without_retries(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """A run in which every task has one try."""
    return _play_without_retries(_dag(dag_id), conf)


def _play_without_retries(dag: Any, conf: dict[str, Any]) -> dict[str, Any]:
    for task in dag.tasks:
        if task.is_mapped:
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return _play(dag, conf)


def die(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """A run in which what stands at `place` dies of a bug. With `only`, no other task is run."""
    put_a_bug(conf["place"])
    dag = _dag(dag_id)
    if "only" in conf:
        dag = dag.partial_subset(conf["only"], include_upstream=False)
    return _play_without_retries(dag, {})


def fail_to_tell(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Call the failure callbacks, which come upon a bug at `place`."""
    put_a_bug(conf["place"])
    return fail(dag_id, {"run_id": "manual__2026-11-24T08:00:00+00:00"})


def _play(dag: Any, conf: dict[str, Any]) -> dict[str, Any]:
    dag.deadline = None  # dag.test looks for its id, which only a DAG has that was stored
    run = dag.test(run_conf=conf)
    tasks: dict[str, list[str]] = {}
    labels: dict[str, list[str]] = {}
    for instance in run.get_task_instances():
        tasks.setdefault(instance.task_id, []).append(str(instance.state))
        labels.setdefault(instance.task_id, []).append(str(instance.rendered_map_index))
    return {"run_id": run.run_id, "state": str(run.state), "tasks": tasks, "labels": labels}


def fail(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Call the failure callbacks as the DAG processor does, which then knows least: no task, no logical date."""
    bag = _bag(dag_id)
    place = {"filepath": f"{dag_id}.py", "bundle_name": "dags-folder", "bundle_version": None}
    request = DagCallbackRequest(**place, dag_id=dag_id, run_id=conf["run_id"], msg="task_failure")
    _execute_dag_callbacks(bag, request, structlog.get_logger())
    return {"called": len(bag.dags[dag_id].on_failure_callback)}


def be_late(dag_id: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Call the deadline's callback as an executor does: by its stored path, with the run as the REST API shows it."""
    (deadline,) = _dag(dag_id).deadline
    stored = json.loads(json.dumps(deadline.callback.serialize()))
    run = DAGRunResponse.model_construct(dag_id=dag_id, **conf).model_dump(mode="json", warnings=False)
    arguments = stored["kwargs"] | {"context": {"dag_run": run, "deadline": {"deadline_time": "2026-11-24T09:30:00Z"}}}
    done, problem = execute_callback(stored["path"], arguments, f"{dag_id}.py", None, structlog.get_logger())
    return {"done": done, "problem": problem}


def bounds(_dag_id: str, _conf: dict[str, Any]) -> dict[str, Any]:
    """How long the ways to mail wait, with the connections that there are."""
    from bounded_ses import BoundedSesHook
    from bounded_smtp import BoundedSmtpHook

    smtp = BoundedSmtpHook()
    smtp.smtp_connection = smtp.get_connection(smtp.smtp_conn_id)
    ses = BoundedSesHook().get_conn().meta.config
    return {
        "smtp": [smtp.timeout, smtp.smtp_retry_limit],
        "ses": [ses.connect_timeout, ses.read_timeout, ses.retries["total_max_attempts"]],
        "ses proxies": ses.proxies,
    }


async def _ask_once() -> None:
    """Let Airflow build what a task asks for its variables and states, all of its versions: four seconds, once."""
    async with httpx.AsyncClient(transport=in_process_api_server().atransport, base_url="http://in-process") as client:
        (await client.get("/health")).raise_for_status()


def _die_with_the_parent() -> None:
    """Nothing plays on when the tests were killed (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


VERBS = {
    one.__name__: one
    for one in (play, play_without_retries, die, deaths, fail_to_tell, fail_to_serve, fail, be_late, bounds)
}


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
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True, file=2)
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
    asyncio.run(_ask_once())
    for line in sys.stdin:
        print(_in_a_fork(json.loads(line)), file=ANSWERS, flush=True)
