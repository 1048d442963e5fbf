"""Install what the machine lacks: system packages by apt, Python packages into `.venv` from the hashed locks."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stack import postgres, rabbitmq
from stack.checkout import Checkout
from stack.errors import StackError
from stack.progress import say
from stack.settings import NO_APT

OLDEST_PYTHON = (3, 11)
_GIGABYTE = 1024**3
_FRESH_NEEDS = 3 * _GIGABYTE
_RUNNING_NEEDS = _GIGABYTE

# A package's own service must not start beside ours; the file that says so is removed again, whatever happens.
_APT_SCRIPT = """
set -e
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends "$@"
"""


def check_python() -> None:
    """Raise StackError when this Python is older than the packages need."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        raise StackError(f"Python 3.11 or later is needed and this is {found}; use: make PYTHON=python3.12 …")


def check_disk(checkout: Checkout) -> None:
    """Raise StackError when the disk has too little room for what is about to be installed and written."""
    needed = _RUNNING_NEEDS if _stamp(checkout, dev=False).exists() else _FRESH_NEEDS
    free = shutil.disk_usage(checkout.root).free
    if free < needed:
        raise StackError(
            f"{free / _GIGABYTE:.1f} GB are free on the disk of {checkout.root} and about "
            f"{needed / _GIGABYTE:.0f} GB are needed; make room and try again."
        )


# What only tests start, by the program that shows it is there: a browser for the page, and what reads our metrics.
_FOR_TESTS = {
    "chromium": "chromium",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-node-exporter": "prometheus-node-exporter",
}


def missing_system_packages(*, want_postgres: bool, want_rabbitmq: bool, want_tests: bool = False) -> list[str]:
    """The Debian packages that are needed and not there."""
    missing = []
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        missing.append("python3-venv")
    if want_postgres and postgres.find_binaries() is None:
        missing.append("postgresql")
    if want_rabbitmq and rabbitmq.find_script() is None:
        missing.append("rabbitmq-server")
    if want_tests:
        missing += [package for program, package in _FOR_TESTS.items() if shutil.which(program) is None]
    return missing


def install_system_packages(packages: Sequence[str], *, log: Path) -> None:
    """Install Debian packages by apt, showing the course of it. Raises StackError when that cannot be done."""
    wanted = " ".join(packages)
    become_root = _become_root()
    if shutil.which("apt-get") is None:
        raise StackError(f"Missing: {wanted}. There is no apt-get here; install them by your system's own means.")
    if become_root is None:
        raise StackError(f"Missing: {wanted}. Run as root or with sudo: apt-get install {wanted}")
    shown = ("Get:", "Unpacking", "Setting up")
    run_showing(
        [*become_root, "sh", "-c", _APT_SCRIPT, "apt", *packages],
        what=f"apt-get install {wanted}",
        log=log,
        shown=shown,
    )


def _become_root() -> list[str] | None:
    if os.environ.get(NO_APT):
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def install_python_packages(checkout: Checkout, *, dev: bool, log: Path) -> None:
    """Bring `.venv` to what the locks say; nothing is done when it is there already."""
    if is_installed(checkout, dev=dev):
        return
    if not _works(checkout.python):
        run_showing([sys.executable, "-m", "venv", "--clear", checkout.venv], what="python3 -m venv", log=log)
    pip: list[str | Path] = [checkout.python, "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes"]
    run_showing([*pip, "-r", checkout.root / "stack" / "requirements-uv.txt"], what="pip install uv", log=log)
    locks = [part for lock in _locks(checkout, dev=dev) for part in ("-r", lock)]
    run_showing(
        [checkout.python, "-m", "uv", "pip", "install", "--python", checkout.python, "--require-hashes", *locks],
        what="uv pip install",
        log=log,
        shown=("Resolved", "Prepared", "Installed", "Downloading", "Downloaded"),
    )
    for kind in {False, dev}:
        _stamp(checkout, dev=kind).write_text(_digest(checkout, dev=kind))


def is_installed(checkout: Checkout, *, dev: bool) -> bool:
    """Whether `.venv` works and was filled from the locks as they are now."""
    stamp = _stamp(checkout, dev=dev)
    return stamp.exists() and stamp.read_text() == _digest(checkout, dev=dev) and _works(checkout.python)


def _works(python: Path) -> bool:
    return (
        python.exists()
        and subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    )


def _locks(checkout: Checkout, *, dev: bool) -> list[Path]:
    return [checkout.root / "requirements.txt", *([checkout.root / "requirements-dev.txt"] if dev else [])]


def _stamp(checkout: Checkout, *, dev: bool) -> Path:
    return checkout.venv / (".installed-dev" if dev else ".installed")


def _digest(checkout: Checkout, *, dev: bool) -> str:
    contents = b"".join(lock.read_bytes() for lock in _locks(checkout, dev=dev))
    return hashlib.sha256(contents + str(checkout.venv).encode()).hexdigest()  # a moved environment is a broken one


def run_showing(command: Sequence[str | Path], *, what: str, log: Path, shown: tuple[str, ...] = ()) -> None:
    """Run a command with its output in `log` and its telling lines on the terminal. Raises StackError when it fails."""
    pipe = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with log.open("a") as file, pipe as process:
        last, told = "", time.monotonic()
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            last = line.strip() or last
            if line.lstrip().startswith(shown or "\0") and time.monotonic() - told > 1:
                told = time.monotonic()
                say(f"       {line.strip()[:100]}")
    if process.returncode != 0:
        raise StackError(f"{what} failed: {last}  (all of it in {log})")
