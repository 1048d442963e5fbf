"""Airflow's REST API as the demo needs it: trigger a DAG and watch its run."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.error import HTTPError

from stack.errors import StackError
from stack.loopback import open_local
from stack.waiting import wait_until

_DONE = {"success", "failed"}


@dataclass(frozen=True)
class AirflowApi:
    """One Airflow, as one user, from the values in `.run/env`."""

    settings: Mapping[str, str]

    def wait_for_dag(self, dag: str, *, seconds: float) -> None:
        """Return when Airflow has read the DAG. Raises StackError, with the import errors, when it does not."""
        try:
            wait_until(lambda: self._knows(dag), what=f"The DAG {dag}", seconds=seconds)
        except StackError as error:
            found = self._call("GET", "/importErrors")["import_errors"]
            told = "\n".join(f"{one['filename']}: {one['stack_trace'].strip().splitlines()[-1]}" for one in found)
            raise StackError(f"{error} {told}") from error

    def trigger(self, dag: str, logical_date: datetime, *, conf: Mapping[str, str] | None = None) -> str:
        """Start a run for a logical date, with these params, and return its id."""
        asked = {"logical_date": logical_date.isoformat(), "conf": dict(conf or {})}
        return str(self._call("POST", f"/dags/{dag}/dagRuns", asked)["dag_run_id"])

    def pause(self, dag: str) -> None:
        """Let no run of it begin."""
        self._call("PATCH", f"/dags/{dag}", {"is_paused": True})

    def unpause(self, dag: str) -> None:
        """Let its runs begin."""
        self._call("PATCH", f"/dags/{dag}", {"is_paused": False})

    def run_at_work(self, dag: str) -> str | None:
        """The id of a run that has begun or waits to begin; None when there is none."""
        found = self._call("GET", f"/dags/{dag}/dagRuns?state=running&state=queued&limit=1")["dag_runs"]
        return str(found[0]["dag_run_id"]) if found else None

    def follow(self, dag: str, run: str, *, show: Callable[[dict[str, int]], object], seconds: float) -> None:
        """Call `show` with the number of tasks by state until the run ends. Raises StackError unless it succeeds."""
        deadline = time.monotonic() + seconds
        while (state := self._call("GET", f"/dags/{dag}/dagRuns/{run}")["state"]) not in _DONE:
            show(self._tasks(dag, run))
            if time.monotonic() > deadline:
                raise StackError(f"{dag} has not ended after {seconds:.0f} s; its run is {run}.")
            time.sleep(1)
        show(self._tasks(dag, run))
        if state != "success":
            page = f"{self.settings['AIRFLOW__API__BASE_URL']}/dags/{dag}/runs/{run}"
            raise StackError(f"{dag} failed; see {page}")

    def run_seconds(self, dag: str, run: str) -> float:
        """How long a run that has ended took, from its triggering."""
        told = self._call("GET", f"/dags/{dag}/dagRuns/{run}")
        return (datetime.fromisoformat(told["end_date"]) - datetime.fromisoformat(told["queued_at"])).total_seconds()

    def xcom(self, dag: str, run: str, task: str, *, key: str = "return_value") -> Any:
        """What a task of a run left behind under that key."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}?stringify=false"
        return self._call("GET", path)["value"]

    def _tasks(self, dag: str, run: str) -> dict[str, int]:
        found = self._call("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=1000")["task_instances"]
        counted: dict[str, int] = {}
        for task in found:
            state = task["state"] or "waiting"
            counted[state] = counted.get(state, 0) + 1
        return counted

    def _knows(self, dag: str) -> bool:
        try:
            return not self._call("GET", f"/dags/{dag}")["is_stale"]
        except HTTPError as error:
            if error.code != 404:
                raise
            return False

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return _send(method, f"{self.settings['AIRFLOW_API_URL']}{path}", body, token=self._token())

    def _token(self) -> str:
        login = {"username": self.settings["AIRFLOW_USERNAME"], "password": self.settings["AIRFLOW_PASSWORD"]}
        answer = _send("POST", f"{self.settings['AIRFLOW__API__BASE_URL']}/auth/token", login, token=None)
        return str(answer["access_token"])


def _send(method: str, url: str, body: object, *, token: str | None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=headers)  # noqa: S310  # our own address
    with open_local(request, timeout_seconds=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
