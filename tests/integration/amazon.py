"""A stand-in for AWS: moto's server, which checks what it is sent as AWS does and shows what it has taken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

# moto says which port it took on its standard output, and ends with the pipe.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Moto:
    """The stand-in for AWS."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead AWS' SDK there."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "an-id",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_CONFIG_FILE": "/nowhere/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials",
        }

    def forget(self) -> None:
        requests.post(f"{self.url}/moto-api/reset", timeout=10).raise_for_status()

    def taken(self, service: str, kind: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.url}/moto-api/data.json", timeout=10)
        return list(answer.json().get(service, {}).get(kind, []))


@contextmanager
def running_moto() -> Iterator[Moto]:
    """An AWS of the tests' own."""
    command = [sys.executable, "-W", "ignore", "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url, "moto did not start"
        yield Moto(url)
        server.stdin.close()
