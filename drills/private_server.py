"""A PostgreSQL, a RabbitMQ or a cluster of three of them, which can be killed and started again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class DrillError(Exception):
    """A drill could not be played, so that it has shown nothing."""


@dataclass(frozen=True)
class PrivateServer:
    """`address` is what stack.private told of it."""

    process: subprocess.Popen[str]
    address: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.address["url"])

    def tell(self, *words: str) -> None:
        """Give an order and wait until it is carried out."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "it has ended"}')
        if "error" in answer:
            raise DrillError(f"{words[0]}: {answer['error']}")


@contextmanager
def private_server(kind: str) -> Iterator[PrivateServer]:
    """A server that keeps what it has confirmed, as in production; it is gone with the block, or with this process."""
    command = [sys.executable, "-m", "stack.private", kind, "--durable"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise DrillError(f"the private {kind} server did not start")
        try:
            yield PrivateServer(process, json.loads(line))
        finally:
            process.stdin.close()
