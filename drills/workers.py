"""Worker processes, and a supervisor's part: who was killed is started again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drills.private_server import ROOT

DRAIN_SECONDS = 60


@dataclass
class Workers:
    """Processes of `module`, which take everything from every channel; their logs are in `folder`."""

    environment: Mapping[str, str]
    folder: Path
    module: str = "carenotify.worker"
    arguments: tuple[str, ...] = ()
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, number: int) -> None:
        """Start so many more."""
        self.running += [self._spawn(len(self.running) + position) for position in range(number)]

    def kill(self, position: int) -> None:
        """SIGKILL: whatever it was about to do, it does not."""
        self.running[position].kill()
        self.running[position].wait()

    def restart(self, position: int) -> None:
        """What a supervisor does when it finds one gone."""
        self.running[position] = self._spawn(position)

    def freeze(self, position: int) -> None:
        """It stands still, as under a debugger or on a machine that is being moved, and knows nothing of it."""
        self.running[position].send_signal(signal.SIGSTOP)

    def thaw(self, position: int) -> None:
        """It goes on where it stood."""
        self.running[position].send_signal(signal.SIGCONT)

    def ended(self) -> list[str]:
        """Those that nobody killed and that are gone all the same."""
        return [
            f"worker {position + 1} ended with {process.returncode}"
            for position, process in enumerate(self.running)
            if process.poll() is not None
        ]

    def drain(self) -> None:
        """Ask all of them to end, and wait."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(DRAIN_SECONDS)

    def end(self) -> None:
        """Whatever is left goes."""
        for process in self.running:
            process.kill()
            process.wait()

    def _spawn(self, position: int) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)  # whoever cleans up .run meanwhile must not end a drill
        with (self.folder / f"worker-{position + 1}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
