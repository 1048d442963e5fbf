"""`make test`, `lint`, `bench`, `drill` and `lock`: the project's own tools, installed first when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stack import packages
from stack.checkout import Checkout
from stack.errors import StackError
from stack.lock import only_one
from stack.processes import Processes
from stack.progress import say
from stack.system import make_run_folder

_LINTERS: dict[str, list[str]] = {
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "ruff check": ["-m", "ruff", "check", "."],
    "mypy": ["-m", "mypy"],
    "mypy stack": ["-m", "mypy", "--strict", "-p", "stack"],
    "import-linter": ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
}
# Compiled in this order: each later one takes the versions of the first as constraints.
_LOCKS = ("requirements", "requirements-worker", "requirements-dev")

# More would need more memory than they save time: each has its servers, and some start a whole Airflow.
_MOST_TEST_PROCESSES = 4


def prepare(checkout: Checkout, *, servers: bool, tests: bool = False) -> None:
    """Install the packages for tests and linters and, when asked, the servers and programs that tests start."""
    packages.check_python()
    with only_one(make_run_folder(checkout.run) / "lock"):
        packages.check_disk(checkout)
        log = Processes(checkout.run).log("install")
        missing = packages.missing_system_packages(want_postgres=servers, want_rabbitmq=servers, want_tests=tests)
        if missing:
            say(f"Missing on this machine: {', '.join(missing)}")
            packages.install_system_packages(missing, log=log)
        if not packages.is_installed(checkout, dev=True):
            say("Installing Python packages; the first time takes some minutes.")
            packages.install_python_packages(checkout, dev=True, log=log)


def run_pytest(checkout: Checkout, words: Sequence[str]) -> int:
    """Run the tests and return pytest's exit code; all of them by several processes, unless the caller has own words.

    Each process has a PostgreSQL and a RabbitMQ of its own, and takes whole files, so that these share what they start.
    There is one more than there are processors, because tests also wait: for what is killed, retried or too slow.
    """
    prepare(checkout, servers=True, tests=True)
    processes = min((os.cpu_count() or 1) + 1, _MOST_TEST_PROCESSES)
    side_by_side = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder", "--durations=20"]
    return _python(checkout, ["-m", "pytest", *(words or side_by_side)])


def run_bench(checkout: Checkout, words: Sequence[str]) -> int:
    """Run the benchmarks and return their exit code."""
    prepare(checkout, servers=True)
    return _python(checkout, ["-m", "bench", *words])


def run_drills(checkout: Checkout, words: Sequence[str]) -> int:
    """Play the fault drills and return their exit code."""
    prepare(checkout, servers=True)
    return _python(checkout, ["-m", "drills", *words])


def lint(checkout: Checkout) -> int:
    """Run every linter, whatever the others say, and return 0 when all are content."""
    prepare(checkout, servers=False)
    failed = []
    for name, words in _LINTERS.items():
        say(f"— {name}")
        if _python(checkout, words) != 0:
            failed.append(name)
    if failed:
        say(f"Not content: {', '.join(failed)}")
    return 1 if failed else 0


def lock(checkout: Checkout, *, check: bool) -> int:
    """Compile the locks anew, or only say whether they still fit what they are compiled from."""
    prepare(checkout, servers=False)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in _LOCKS:
            shutil.copy(checkout.root / f"{name}.in", work)  # all of them first: one includes another
        for name in _LOCKS:
            if check:
                shutil.copy(checkout.root / f"{name}.txt", work)  # what is locked already is kept
            _compile(checkout, work, name)
        changed = [name for name in _LOCKS if _differs(work / f"{name}.txt", checkout.root / f"{name}.txt")]
        if not check:
            for name in changed:
                shutil.copy(work / f"{name}.txt", checkout.root)
    say(f"{'Stale' if check else 'Changed'}: {', '.join(changed) or 'none'}")
    return 1 if check and changed else 0


def _compile(checkout: Checkout, work: Path, name: str) -> None:
    command: list[str | Path] = [
        checkout.python,
        "-m",
        "uv",
        "pip",
        "compile",
        "-q",
        "--universal",
        "--python-version",
        "3.11",
    ]
    command += ["--generate-hashes", "--custom-compile-command", "make lock"]
    if name == "requirements-worker":
        command += ["-c", "requirements.txt"]
    done = subprocess.run([*command, f"{name}.in", "-o", f"{name}.txt"], cwd=work, check=False)
    if done.returncode != 0:
        raise StackError(f"{name}.in could not be compiled; what stands above says why.")


def _differs(one: Path, other: Path) -> bool:
    return not other.exists() or one.read_bytes() != other.read_bytes()


def _python(checkout: Checkout, words: Sequence[str]) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CARENOTIFY_", "AIRFLOW"))}
    environment["PYTHONPATH"] = str(checkout.root / "include")
    # Container images set it; then each of the hundred processes of the tests compiles all of Airflow anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run([checkout.python, *words], cwd=checkout.root, env=environment, check=False).returncode
