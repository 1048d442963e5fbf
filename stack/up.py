"""`make up`: install what is missing and start what is not running, as much as possible at the same time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import Future

from stack import airflow, packages
from stack.checkout import Checkout
from stack.errors import StackError
from stack.lock import only_one
from stack.loopback import answers_ok
from stack.processes import Processes
from stack.progress import say
from stack.settings import fingerprint, missing_for_workers
from stack.steps import Steps
from stack.system import SANDBOX, URGENT_WORKER, System, make_run_folder
from stack.waiting import wait_until

Step = Future[bool]


def up(checkout: Checkout, *, demo: bool = False) -> System:
    """Start everything that is not running and return the system. Raises StackError when it cannot."""
    packages.check_python()
    make_run_folder(checkout.run)
    with only_one(checkout.run / "lock"):
        packages.check_disk(checkout)
        Processes(checkout.run).kill_orphans()
        system = System(checkout, demo=demo)
        install_system(system)
        _ = system.places, system.workers  # what the user asked for and cannot have shows here, before any start
        with Steps() as steps:
            system.write_environment()
            _stop_surplus_workers(system)
            _start_all(system, steps)
    return system


def install_system(system: System) -> None:
    """Install the servers that this machine lacks."""
    missing = packages.missing_system_packages(want_postgres=system.needs_postgres, want_rabbitmq=system.needs_rabbitmq)
    if missing:
        say(f"Missing on this machine: {', '.join(missing)}")
        packages.install_system_packages(missing, log=system.processes.log("install"))


def _start_all(system: System, steps: Steps) -> None:
    checkout = system.checkout
    log = system.processes.log("install")
    say("Starting; a first start installs Python packages and takes some minutes.")
    python = steps.run("Python packages", lambda: packages.install_python_packages(checkout, dev=False, log=log))
    databases = [steps.run("PostgreSQL", lambda: start_postgres(system))] if system.needs_postgres else []
    broker = [steps.run("RabbitMQ", lambda: start_rabbitmq(system))] if system.needs_rabbitmq else []
    tables = steps.run("carenotify's tables and API key", lambda: prepare_tables(system), after=[python, *databases])
    prepared = steps.run(
        "Airflow's tables and administrator",
        lambda: airflow.prepare_database(checkout, system.environment),
        after=[python, *databases],
    )
    sandbox = [steps.run("sandbox", lambda: _start_sandbox(system), after=[python])] if system.with_sandbox else []
    steps.run("Airflow", lambda: start_airflow(system), after=[prepared, tables])
    for name in () if missing_for_workers(system.settings) else system.workers:
        steps.run(name, _worker_start(system, name), after=[tables, *broker, *sandbox])


def _stop_surplus_workers(system: System) -> None:
    names = system.processes.names()
    system.processes.stop(
        [name for name in names if name.startswith("worker-") and name not in system.workers], seconds=25
    )


def start_postgres(system: System) -> None:
    """Start the private PostgreSQL with its two databases."""
    postgres = system.postgres
    if not system.processes.is_running("postgres"):
        _with_last_words(system, "postgres", postgres.start)
    for database in ("airflow", "carenotify"):
        postgres.create_database(database)
    if postgres.data.parent != system.checkout.run:
        say(f"       its data is in {postgres.data}: the postgres account cannot get into {system.checkout.run}")


def start_rabbitmq(system: System) -> None:
    """Start the private RabbitMQ."""
    if not system.processes.is_running("rabbitmq"):
        _with_last_words(system, "rabbitmq", system.rabbitmq.start)


def prepare_tables(system: System) -> None:
    """Bring carenotify's tables to what this code needs, and let the key in CARENOTIFY_API_KEY in."""
    _carenotify(system, "migrate", wanted="The tables could not be brought up to date")
    _carenotify(system, "keys", "ensure", wanted="The API key could not be registered")


def _carenotify(system: System, *words: str, wanted: str) -> None:
    done = subprocess.run(
        [system.checkout.python, "-m", "carenotify", *words],
        env=system.environment,
        cwd=system.checkout.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"{wanted}: {(done.stderr or done.stdout).strip()}")


def start_airflow(system: System) -> None:
    """Start Airflow's four processes and wait until all are healthy."""
    for name, words in airflow.PROCESSES.items():
        start(system, name, airflow.command(system.checkout, *words))
    wait_until(
        lambda: airflow.is_healthy(system.airflow_port),
        what="Airflow",
        seconds=180,
        alive=lambda: all(_is_alive(system, name) for name in airflow.PROCESSES),
    )


def _is_alive(system: System, name: str) -> bool:
    if not system.processes.is_running(name):
        raise StackError(f"Airflow's {name} stopped while starting:\n{system.processes.last_words(name)}")
    return True


def _start_sandbox(system: System) -> None:
    start(system, SANDBOX, system.sandbox_command())
    _wait_for(system, SANDBOX, f"http://127.0.0.1:{system.places.sandbox_port}/health", seconds=120)


def _worker_start(system: System, name: str) -> Callable[[], None]:
    def act() -> None:
        start_worker(system, name)

    return act


def start_worker(system: System, name: str) -> None:
    """Start one worker and wait until it is ready to send."""
    port = system.workers[name]
    kind = ["--urgent", "--no-relay"] if name == URGENT_WORKER else []
    command = [str(system.checkout.python), "-m", "carenotify.worker", "--channels", "all", "--health-port", str(port)]
    start(system, name, command + kind)
    _wait_for(system, name, f"http://127.0.0.1:{port}/ready", seconds=60)


def start(system: System, name: str, command: list[str]) -> None:
    """Start a process of ours; one that runs with other settings is stopped first, one with the same is left alone."""
    processes = system.processes
    wanted = fingerprint({**system.settings, "command": "\0".join(command)})
    if processes.is_running(name) and processes.settings(name) == wanted:
        return
    processes.stop([name], seconds=25)
    processes.start(name, command, environment=system.environment, cwd=system.checkout.root, settings=wanted)


def _wait_for(system: System, name: str, url: str, *, seconds: float) -> None:
    _with_last_words(
        system,
        name,
        lambda: wait_until(
            lambda: answers_ok(url), what=name, seconds=seconds, alive=lambda: system.processes.is_running(name)
        ),
    )


def _with_last_words(system: System, name: str, action: Callable[[], None]) -> None:
    try:
        action()
    except StackError as error:
        raise StackError(
            f"{error} Its log, {system.processes.log(name)}, ends:\n{system.processes.last_words(name)}"
        ) from error
