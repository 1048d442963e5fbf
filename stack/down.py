"""`make down`: stop every process of this checkout, whatever state a crash has left them in."""

from __future__ import annotations

import shutil
from pathlib import Path

from stack import postgres, rabbitmq
from stack.checkout import Checkout
from stack.errors import StackError
from stack.lock import only_one
from stack.processes import Processes
from stack.progress import say, step

_SERVERS = (postgres.NAME, rabbitmq.NAME, rabbitmq.EPMD)
_SECONDS = 30


def down(checkout: Checkout) -> None:
    """Stop everything. Raises StackError when a process could not be ended."""
    if not checkout.run.exists():
        say("Nothing runs.")
        return
    with only_one(checkout.run / "lock"):
        stop_all(Processes(checkout.run))


def stop_all(processes: Processes) -> None:
    """Stop clients first, then servers, then whatever carries this folder's mark and has no pid file any more."""
    clients = [name for name in processes.names() if name not in (*_SERVERS, "api-server")]
    _stop(processes, clients)
    _stop(processes, ["api-server"])  # tasks that are still at work tell it how they ended
    _stop(processes, [rabbitmq.NAME, postgres.NAME])
    _stop(processes, [rabbitmq.EPMD])
    if killed := processes.kill_orphans():
        say(f"  ok killed what a crash had left: {', '.join(map(str, killed))}")
    if left := processes.orphans():
        raise StackError(f"These processes could not be ended: {', '.join(map(str, left))}")
    say("Nothing runs.")


def _stop(processes: Processes, names: list[str]) -> None:
    running = [name for name in names if processes.is_running(name)]
    if running:
        with step(f"stopping {', '.join(running)}"):
            killed = processes.stop(running, seconds=_SECONDS, first={postgres.NAME: postgres.STOP_SIGNAL})
        if killed:
            say(f"       did not end within {_SECONDS} s and had to be killed: {', '.join(killed)}")
    for name in names:
        processes.forget(name)


def clean(checkout: Checkout) -> None:
    """Stop everything and remove the run folder with all its data. The packages in `.venv` stay."""
    down(checkout)
    if not checkout.run.exists():
        return
    data = postgres.data_folder(checkout.run)
    for folder in (data.parent if data.parent != checkout.run else data, checkout.run):
        _remove(folder)
    say(f"Removed {checkout.run}; the packages in {checkout.venv} stay.")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
