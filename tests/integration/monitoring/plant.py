"""A Prometheus and an Alertmanager with what is in deploy/, beside real processes that they watch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from stack.loopback import answers_ok, get_json, open_local
from stack.ports import pick_free
from tests.integration.monitoring.queries import PROMETHEUS, ROOT
from tests.integration.ward import wait_for
from tests.integration.worker.worker_process import clean_environment

# Asked this often, it has what it needs within seconds.
_HASTE = {"scrape_interval: 15s": "scrape_interval: 2s", "scrape_timeout: 10s": "scrape_timeout: 2s"} | {
    "evaluation_interval: 15s": "evaluation_interval: 1s"
}


@contextmanager
def running(*command: str | Path, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process for as long as the block lasts; whoever needs it waits until it answers."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment or dict(os.environ), cwd=ROOT, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API; an AssertionError with what it said when it refuses."""
        try:
            answer = get_json(f"{self.url}/api/v1/{path}?{urlencode(parameters)}")
        except HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None
        assert not answer.get("warnings"), answer
        return answer["data"]

    def result(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The one value that an expression has now; None when it has none."""
        found = self.result(expression)
        assert len(found) <= 1
        return float(found[0]["value"][1]) if found else None


@contextmanager
def running_prometheus(folder: Path, targets: Mapping[str, str], *, key: str) -> Iterator[Prometheus]:
    """deploy/prometheus as it is, but for where things are and how often they are asked."""
    deployed = Path(shutil.copytree(PROMETHEUS, folder / "deployed"))
    (deployed / "secrets" / "carenotify_metrics_key").write_text(key)
    port = pick_free()
    for name, address in (targets | {"prometheus": f"127.0.0.1:{port}"}).items():
        assert (deployed / "targets" / f"{name}.yml").exists()
        (deployed / "targets" / f"{name}.yml").write_text(json.dumps([{"targets": [address]}]))
    rewrite(deployed / "prometheus.yml", _HASTE)
    url = f"http://127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={deployed / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    listen = f"--web.listen-address=127.0.0.1:{port}"
    with running(*command, listen, log=folder / "prometheus.log"):
        wait_for(lambda: answers_ok(f"{url}/-/ready"), seconds=60)
        yield Prometheus(url)


def rewrite(file: Path, changes: Mapping[str, str]) -> None:
    """Replace each of these texts, every one of which must be there."""
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)


@contextmanager
def running_alertmanager(folder: Path, changes: Mapping[str, str]) -> Iterator[str]:
    """deploy/prometheus/alertmanager.yml as it is, but for these changes; gives its address."""
    config = Path(shutil.copy(PROMETHEUS / "alertmanager.yml", folder))
    rewrite(config, changes)
    port = pick_free()
    command = ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}"]
    network = [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    url = f"http://127.0.0.1:{port}"
    with running(*command, *network, log=folder / "alertmanager.log"):
        yield url


@contextmanager
def running_exporters(folder: Path, database_url: str) -> Iterator[dict[str, str]]:
    """Those of PostgreSQL and of the machine; gives their addresses by the names of targets/."""
    ports = {"postgres": pick_free()}
    ports["node"] = pick_free(set(ports.values()))
    address = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    environment = dict(os.environ) | {"DATA_SOURCE_NAME": f"{database_url}?sslmode=disable"}
    with (
        running(
            "prometheus-postgres-exporter",
            f"--web.listen-address={address['postgres']}",
            log=folder / "postgres-exporter.log",
            environment=environment,
        ),
        running(
            "prometheus-node-exporter",
            f"--web.listen-address={address['node']}",
            log=folder / "node-exporter.log",
        ),
    ):
        yield address


@contextmanager
def running_api(settings: Mapping[str, str], log: Path, port: int) -> Iterator[str]:
    """The HTTP surface by itself; gives the address that its paths begin with."""
    command = [sys.executable, "-m", "carenotify.api", "--port", str(port)]
    with running(*command, log=log, environment=clean_environment(settings)):
        yield f"http://127.0.0.1:{port}/carenotify/v1"


@contextmanager
def running_worker(settings: Mapping[str, str], log: Path) -> Iterator[str]:
    """A worker for all channels; gives the address of its health port."""
    port = pick_free()
    command = [sys.executable, "-m", "carenotify.worker", "--health-port", str(port)]
    with running(*command, log=log, environment=clean_environment(settings)):
        yield f"http://127.0.0.1:{port}"


def status_of(url: str) -> int:
    """The status that a GET is answered with."""
    try:
        with open_local(url, timeout_seconds=10) as answer:
            return answer.status
    except HTTPError as error:
        with error:
            return error.code
