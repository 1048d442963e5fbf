"""Both DAGs on a running Airflow, with 8,000 appointments from an API that fails one call in ten, then change events.

Starts a system of its own in `.run-bench`, beside one that may be running, and removes it again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from bench import change_events
from bench.servers import Servers
from stack.airflow_api import AirflowApi
from stack.carenotify_api import post_json
from stack.checkout import Checkout, here
from stack.down import clean
from stack.errors import StackError
from stack.system import System
from stack.up import up

APPOINTMENTS = 8000
MOST_SECONDS = {"ingest_appointments": 90, "send_reminders": 30}
MOST_MEGABYTES = 500
# Providers that fail on purpose would be measured, and not we. Receipts of hundreds of messages a second, more than any
# account may send, would take both cores.
_WELL = {"provider_fail_share": 0, "dead_share": 0, "receipts_mode": "off"}
_LEAST = 0.8 * APPOINTMENTS  # the others are dirty, or nobody is told of them


def run(_: Servers) -> Iterator[dict[str, Any]]:
    os.environ["DEMO_APPOINTMENTS"] = str(APPOINTMENTS)
    change_events.lift_limits()
    checkout = Checkout(here().root, run_name=".run-bench")
    try:
        system = up(checkout, demo=True)
        post_json(f"{system.settings['CARENOTIFY_SANDBOX_URL']}/faults", _WELL)
        for dag in MOST_SECONDS:
            yield from _figures(system, dag)
        yield from change_events.figures(system)
    finally:
        clean(checkout)


def _figures(system: System, dag: str) -> Iterator[dict[str, Any]]:
    api = AirflowApi(system.settings)
    api.wait_for_dag(dag, seconds=120)
    if (earlier := api.run_at_work(dag)) is not None:
        api.follow(dag, earlier, show=lambda _: None, seconds=600)
    with TaskMemory(system.processes.pid("scheduler")) as memory:
        triggered = api.trigger(dag, datetime.now(UTC))
        api.follow(dag, triggered, show=lambda _: None, seconds=600)
    _check_work(dag, _WORK[dag](api, triggered))
    seconds = api.run_seconds(dag, triggered)
    yield {"figure": f"{dag}_seconds", "value": round(seconds, 1), "at_most": MOST_SECONDS[dag]}
    yield {"figure": f"{dag}_task_megabytes", "value": memory.peak_megabytes, "at_most": MOST_MEGABYTES}


def _loaded(api: AirflowApi, run: str) -> int:
    """Appointments that the run took through the gate."""
    counts = api.xcom("ingest_appointments", run, "check_load")
    return int(counts["rows"]) - int(counts["rejected"])


def _reminded(api: AirflowApi, run: str) -> int:
    """Appointments of the reminders that the run planned; its closing check found all of them with the broker."""
    return int(api.xcom("send_reminders", run, "plan", key="summary")["appointments_due"])


_WORK = {"ingest_appointments": _loaded, "send_reminders": _reminded}


def _check_work(dag: str, appointments: int) -> None:
    """Raises StackError for a run that had next to nothing to do, whose seconds say nothing."""
    if appointments < _LEAST:
        raise StackError(f"The measured run of {dag} had {appointments} appointments; {_LEAST:.0f} are the least.")


class TaskMemory:
    """The largest resident memory that any process below the scheduler has had, sampled while the block runs."""

    def __init__(self, scheduler: int) -> None:
        self.peak_megabytes = 0
        self._scheduler = scheduler
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.25):
            for pid in _below(self._scheduler):
                self.peak_megabytes = max(self.peak_megabytes, _peak_megabytes(pid))


def _below(ancestor: int) -> set[int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    below: set[int] = set()
    while found := {pid for pid, parent in parents.items() if parent in below | {ancestor} and pid not in below}:
        below |= found
    return below


def _peak_megabytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)
