"""The outside world as a process of its own, and the only one who counts."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from drills.private_server import ROOT, DrillError

ACCOUNT_SID, AUTH_TOKEN = "AC" + "2" * 32, "drill-token"


@dataclass(frozen=True)
class SandboxProcess:
    """What it counted, and the levers of its faults."""

    http_port: int
    smtp_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def counts(self) -> Counter[str]:
        """How often each notification was received."""
        return Counter({identity: one["times"] for identity, one in self._call("/counts").items()})

    def unanswered(self) -> Counter[str]:
        """How often a notification was received and its sender never told."""
        return Counter(self._call("/unanswered"))

    def received(self, channel: str | None = None) -> int:
        """Messages received so far, those that came again included."""
        by_channel: dict[str, int] = self._call("/stats")["received"]
        return sum(by_channel.values()) if channel is None else by_channel[channel]

    def set(self, **faults: object) -> None:
        """Change faults, by their names in carenotify.sandbox.faults."""
        self._call("/faults", faults)

    def _call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@contextmanager
def sandbox_process(environment: Mapping[str, str]) -> Iterator[SandboxProcess]:
    """A sandbox without faults and without receipts, for as long as the block lasts."""
    command = [sys.executable, "-m", "carenotify.sandbox", "--reminder-day", "2026-11-24", "--appointments", "1"]
    command += ["--fail-share", "0", "--provider-fail-share", "0"]
    command += ["--twilio-account-sid", ACCOUNT_SID, "--twilio-auth-token", AUTH_TOKEN]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise DrillError("the sandbox did not start")
        sandbox = SandboxProcess(**json.loads(line))
        sandbox.set(receipts_mode="off")
        try:
            yield sandbox
        finally:
            process.kill()
