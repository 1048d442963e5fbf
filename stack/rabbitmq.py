"""A private RabbitMQ node with its own epmd, cookie, data and ports, on loopback only.

The package's own script is called: the wrapper in /usr/sbin switches to the rabbitmq account and its data.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.loopback import accepts, open_local
from stack.processes import Processes
from stack.waiting import wait_until

NAME = "rabbitmq"
EPMD = "epmd"
ADMIN = "carenotify"
_SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin"))

# Called through ALLOW_INPUT the script becomes the Erlang node itself, so that the pid file names the node.
_CONFIG = """\
default_user = {user}
default_pass = {password}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus}
disk_free_limit.absolute = 200MB
log.console = false
"""
_CLUSTER = """\
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
"""


def find_script() -> Path | None:
    """The script that starts a node as whoever calls it; None when RabbitMQ is not installed."""
    return next((folder / "rabbitmq-server" for folder in _SCRIPTS if (folder / "rabbitmq-server").exists()), None)


@dataclass(frozen=True)
class RabbitPorts:
    """The five loopback ports of a node."""

    amqp: int
    distribution: int
    epmd: int
    management: int
    prometheus: int


@dataclass(frozen=True)
class RabbitMQ:
    """One private node; with `peers`, the names of all nodes, one of a cluster on this machine.

    The nodes of a cluster share a run folder and the port of epmd.
    """

    processes: Processes
    ports: RabbitPorts
    password: str
    node: str = "carenotify"
    peers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its process is called."""
        return f"{NAME}-{self.node}" if self.peers else NAME

    def url(self, virtual_host: str = "") -> str:
        """The AMQP address of a virtual host; of the default one when none is named."""
        return f"amqp://{ADMIN}:{self.password}@127.0.0.1:{self.ports.amqp}/{virtual_host or '%2F'}"

    @property
    def management_url(self) -> str:
        """The base address of the management pages and their HTTP API."""
        return f"http://127.0.0.1:{self.ports.management}"

    def start(self) -> None:
        """Start epmd and the node, and return when clients and the management API are answered."""
        script = find_script()
        epmd = shutil.which("epmd")
        if script is None or epmd is None:
            raise StackError("RabbitMQ is not installed; run: apt-get install rabbitmq-server")
        environment = self._environment(self._prepare())
        if not self.processes.is_running(EPMD):
            self.processes.start(
                EPMD,
                [epmd, "-address", "127.0.0.1", "-port", str(self.ports.epmd)],
                environment=environment,
                cwd=self._home,
            )
        wait_until(lambda: accepts(self.ports.epmd), what="epmd", seconds=15, alive=self._runs(EPMD))
        self.processes.start(self.name, [script, "-noinput"], environment=environment, cwd=self._home)
        wait_until(self.answers, what="RabbitMQ", seconds=90, alive=self._runs(self.name))

    def control(self, *words: str) -> None:
        """Run rabbitmqctl on this node. Raises StackError with what it said."""
        script = find_script()
        if script is None:
            raise StackError("RabbitMQ is not installed; run: apt-get install rabbitmq-server")
        command: list[str | Path] = [script.with_name("rabbitmqctl"), *words]
        environment = self._environment(self._home)
        done = subprocess.run(command, env=environment, cwd=self._home, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"rabbitmqctl {words[0]} failed: {done.stderr.strip()[-500:]}")

    def answers(self) -> bool:
        """Whether the node accepts AMQP connections and its management API takes our password."""
        return accepts(self.ports.amqp) and self._manages()

    @property
    def _home(self) -> Path:
        return self.processes.folder / self.name

    def _runs(self, name: str) -> Callable[[], bool]:
        return lambda: self.processes.is_running(name)

    def _prepare(self) -> Path:
        home = self._home
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "enabled_plugins").write_text("[rabbitmq_management,rabbitmq_prometheus].\n")
        config = home / "rabbitmq.conf"
        config.touch(mode=0o600)
        config.write_text(
            _CONFIG.format(
                user=ADMIN,
                password=self.password,
                management=self.ports.management,
                prometheus=self.ports.prometheus,
            )
            + self._clustering()
        )
        if self.peers:
            self._write_cookie(home / ".erlang.cookie")
        return home

    def _clustering(self) -> str:
        nodes = enumerate(self.peers, start=1)
        lines = [f"cluster_formation.classic_config.nodes.{number} = {peer}@localhost\n" for number, peer in nodes]
        return "".join([_CLUSTER, *lines]) if lines else ""

    def _write_cookie(self, cookie: Path) -> None:
        """Nodes let each other in by it; a node alone makes its own."""
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(self.password)
            cookie.chmod(0o400)

    def _environment(self, home: Path) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))
        }
        return inherited | {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"{self.node}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.ports.amqp),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "no-rabbitmq-env.conf"),  # the machine's own must not reach ours
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _manages(self) -> bool:
        try:
            call_management(self.management_url, "GET", "/api/overview", password=self.password)
        except (urllib.error.URLError, OSError):
            return False
        return True


def call_management(base_url: str, method: str, path: str, *, password: str, body: object = None) -> bytes:
    """One call of the management HTTP API. Raises urllib's errors."""
    login = base64.b64encode(f"{ADMIN}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310  # our own loopback address
        base_url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {login}", "Content-Type": "application/json"},
    )
    with open_local(request, timeout_seconds=5) as answer:
        return bytes(answer.read())
