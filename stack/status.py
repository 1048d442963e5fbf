"""`make status`: what runs, since when it may be asked, and where."""

from __future__ import annotations

import shlex

from stack import airflow
from stack.checkout import Checkout
from stack.loopback import answers_ok
from stack.processes import Processes
from stack.progress import say

_SHOWN = ("CARENOTIFY_API_URL", "CARENOTIFY_SANDBOX_URL", "AIRFLOW_USERNAME", "AIRFLOW_PASSWORD")


def status(checkout: Checkout) -> bool:
    """Print a line for each process that was started, and the addresses; return whether all of them run."""
    if not checkout.run.exists():
        say("Nothing was started here yet; make up starts it.")
        return False
    processes = Processes(checkout.run)
    names = processes.names()
    for name in names:
        pid = processes.pid(name)
        say(f"  {name:<14} {f'runs, pid {pid}' if pid else 'does not run; see ' + str(processes.log(name))}")
    if not names:
        say("Nothing runs; make up starts it.")
        return False
    _show_addresses(checkout)
    return all(processes.is_running(name) for name in names)


def _show_addresses(checkout: Checkout) -> None:
    known = read_environment(checkout)
    if "AIRFLOW__API__BASE_URL" not in known:
        return
    address = known["AIRFLOW__API__BASE_URL"]
    say(f"  {'Airflow':<14} {address}  {'answers' if answers_ok(address + '/api/v2/version') else 'does not answer'}")
    if airflow.is_healthy(int(known["AIRFLOW__API__PORT"])):
        say(f"  {'':<14} API server, scheduler, DAG processor and triggerer are healthy")
    for name in _SHOWN:
        if name in known:
            say(f"  {name:<22} {known[name]}")


def read_environment(checkout: Checkout) -> dict[str, str]:
    """The variables in `.run/env`; none when it is not there."""
    file = checkout.run / "env"
    if not file.exists():
        return {}
    words = [shlex.split(line)[1] for line in file.read_text().splitlines() if line.startswith("export ")]
    return {name: value for name, _, value in (word.partition("=") for word in words)}
