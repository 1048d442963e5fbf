"""A real `python -m carenotify.worker` beside a sandbox that counts what it sends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from carenotify.sandbox.server import SandboxServer
from tests.integration.ward import wait_for
from tests.scraped import Scraped

ROOT = Path(__file__).parents[3]
_PORT = re.compile(r"health on port (\d+)")


@dataclass
class WorkerProcess:
    """A running worker; `log` is what it wrote so far."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def url(self) -> str:
        # Its imports take a loaded machine long.
        wait_for(lambda: _PORT.search(self.log) is not None or self.process.poll() is not None, seconds=60)
        found = _PORT.search(self.log)
        assert found is not None, self.log
        return f"http://127.0.0.1:{found[1]}"

    def ask(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and JSON of /health or /ready; 0 when nobody answers."""
        try:
            with urlopen(f"{self.url}{path}", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except URLError:
            return 0, {}

    def scrape(self) -> Scraped | None:
        """Its metrics; None when nobody answers. An answer is always a whole one, and without complaint."""
        try:
            with urlopen(f"{self.url}/metrics", timeout=10) as answer:
                return Scraped.of(answer.read(), answer.headers["Content-Type"])
        except HTTPError:
            raise
        except (URLError, ConnectionError):
            return None

    @contextmanager
    def scraped_all_the_time(self) -> Iterator[list[Scraped]]:
        """Somebody asks again and again; what they found."""
        found: list[Scraped] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                if one := self.scrape():
                    found.append(one)
                stop.wait(0.1)

        with ThreadPoolExecutor(1) as asking:
            asked = asking.submit(ask)
            try:
                yield found
            finally:
                stop.set()
        asked.result()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(40)


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings and no others of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARENOTIFY_")}
    return kept | {"PYTHONPATH": str(ROOT / "include")} | dict(settings)


def sandbox_settings(sandbox: SandboxServer) -> dict[str, str]:
    """Mails and texts go to the sandbox."""
    return {
        "CARENOTIFY_SMTP_URL": sandbox.smtp_url,
        "CARENOTIFY_EMAIL_FROM": "hospital@hospital.example",
        "CARENOTIFY_TWILIO_BASE_URL": sandbox.url,
        "CARENOTIFY_TWILIO_ACCOUNT_SID": sandbox.sandbox.options.twilio_account_sid,
        "CARENOTIFY_TWILIO_AUTH_TOKEN": sandbox.sandbox.options.twilio_auth_token,
        "CARENOTIFY_TWILIO_FROM": "+15005550006",
    }


@contextmanager
def running_worker(settings: Mapping[str, str], log_file: Path, *arguments: str) -> Iterator[WorkerProcess]:
    """A worker for as long as the block lasts, however it ends."""
    command = [sys.executable, "-m", "carenotify.worker", *arguments]
    with (
        log_file.open("wb") as log,
        subprocess.Popen(command, env=clean_environment(settings), cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            yield WorkerProcess(process, log_file)
        finally:
            if process.poll() is None:
                process.kill()
