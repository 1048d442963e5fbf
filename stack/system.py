"""What a start is about to run: which servers are ours, on which ports, with which settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from stack import credentials, settings
from stack.checkout import Checkout
from stack.errors import StackError
from stack.ports import RememberedPorts
from stack.postgres import Postgres
from stack.processes import Processes
from stack.rabbitmq import RabbitMQ, RabbitPorts

SANDBOX = "sandbox"
URGENT_WORKER = "worker-urgent"


class System:
    """One run folder as it should be: every part is worked out on first use, and nothing is started."""

    def __init__(self, checkout: Checkout, *, environment: Mapping[str, str] | None = None, demo: bool = False) -> None:
        self.checkout = checkout
        self.processes = Processes(make_run_folder(checkout.run))
        self.wished = settings.wishes(os.environ if environment is None else environment)
        self.credentials = credentials.load_or_make(checkout.run / "secrets.json")
        self._ports = RememberedPorts(checkout.run / "ports.json")
        self.with_sandbox = demo or self.processes.is_running(SANDBOX)  # `make up` does not take a demo apart

    @property
    def needs_postgres(self) -> bool:
        """Whether a private PostgreSQL is needed: the user has not named both databases."""
        return not {"CARENOTIFY_DATABASE_URL", settings.AIRFLOW_DATABASE} <= self.wished.keys()

    @property
    def needs_rabbitmq(self) -> bool:
        """Whether a private RabbitMQ is needed."""
        return "CARENOTIFY_BROKER_URL" not in self.wished

    @cached_property
    def postgres(self) -> Postgres:
        """The private PostgreSQL."""
        return Postgres(self.processes, self._port("postgres"), self.credentials["postgres_password"])

    @cached_property
    def rabbitmq(self) -> RabbitMQ:
        """The private RabbitMQ."""
        ports = RabbitPorts(
            amqp=self._port("rabbitmq"),
            distribution=self._port("rabbitmq-distribution", of="rabbitmq"),
            epmd=self._port("epmd"),
            management=self._port("rabbitmq-management", of="rabbitmq"),
            prometheus=self._port("rabbitmq-prometheus", of="rabbitmq"),
        )
        return RabbitMQ(self.processes, ports, self.credentials["broker_password"])

    @cached_property
    def places(self) -> settings.Places:
        """Where each server is."""
        asked = self.wished
        ours = self.needs_postgres
        return settings.Places(
            database_url=asked.get("CARENOTIFY_DATABASE_URL") or (self.postgres.url("carenotify") if ours else ""),
            airflow_database_url=asked.get(settings.AIRFLOW_DATABASE) or (self.postgres.url("airflow") if ours else ""),
            broker_url=asked.get("CARENOTIFY_BROKER_URL") or self.rabbitmq.url(),
            ui_port=self._port("ui", of="api-server", fixed=asked.get(settings.UI_PORT)),
            sandbox_port=self._port(SANDBOX) if self.with_sandbox else None,
            sandbox_smtp_port=self._port("sandbox-smtp", of=SANDBOX) if self.with_sandbox else None,
        )

    @cached_property
    def settings(self) -> dict[str, str]:
        """Every setting of the running system."""
        return settings.build(self.checkout, self.places, credentials=self.credentials, wished=self.wished)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process."""
        return settings.child_environment(self.wished, self.settings)

    @property
    def airflow_port(self) -> int:
        """The port of Airflow's API server and UI."""
        return self.places.ui_port

    @cached_property
    def workers(self) -> dict[str, int]:
        """The names of the workers with the ports that tell their health."""
        wanted = self.wished.get("WORKERS", "2")
        if not wanted.isdecimal() or int(wanted) < 1:
            raise StackError(f"WORKERS is {wanted!r}; use a whole number from 1 on.")
        names = [*(f"worker-{number}" for number in range(1, int(wanted) + 1)), URGENT_WORKER]
        return {name: self._port(f"{name}-health", of=name) for name in names}

    def sandbox_command(self) -> list[str]:
        """The command line of the sandbox; its secrets come by the environment."""
        options = {
            "--http-port": str(self.places.sandbox_port),
            "--smtp-port": str(self.places.sandbox_smtp_port),
            "--appointments": demo_appointments(self.wished),
            "--reminder-day": (demo_day(self.settings) + timedelta(days=3)).isoformat(),
            "--timezone": self.settings["CARENOTIFY_TIMEZONE"],
            "--provider-fail-share": "0.1",
            "--dead-share": "0.02",
            "--inbound-url": f"{self.settings['CARENOTIFY_PUBLIC_URL']}/carenotify/v1/inbound/twilio",
        }
        words = [word for option in options.items() for word in option]
        return [str(self.checkout.python), "-m", "carenotify.sandbox", *words]

    def write_environment(self) -> Path:
        """Write `.run/env` for shells, readable by its owner only."""
        file = self.checkout.run / "env"
        credentials.write_privately(file, settings.shell_lines(self.settings, wished=self.wished))
        return file

    def _port(self, name: str, *, of: str | None = None, fixed: str | None = None) -> int:
        return self._ports.port(name, is_ours=lambda: self.processes.is_running(of or name), fixed=fixed)


def make_run_folder(run: Path) -> Path:
    """Create the run folder when it is not there. Raises StackError when it is another account's."""
    try:
        run.mkdir(exist_ok=True)
    except OSError as error:
        raise StackError(
            f"{run} cannot be created ({error.strerror}); clone into a folder that you may write to."
        ) from error
    if run.stat().st_uid != os.geteuid():
        raise StackError(f"{run} belongs to another account; use that account, or its `make clean` first.")
    run.chmod(0o711)  # the postgres account must get through; nobody else needs to look
    return run


def demo_appointments(wished: Mapping[str, str]) -> str:
    """How many appointments the demo's hospital has on the day, as text."""
    wanted = wished.get("DEMO_APPOINTMENTS", "8000")
    if not wanted.isdecimal() or int(wanted) < 1:
        raise StackError(f"DEMO_APPOINTMENTS is {wanted!r}; use a whole number from 1 on.")
    return wanted


def demo_day(chosen: Mapping[str, str]) -> date:
    """Today in the hospital's zone."""
    return datetime.now(ZoneInfo(chosen["CARENOTIFY_TIMEZONE"])).date()
