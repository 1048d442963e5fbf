"""The house keeps its shape: what is declared is used, and imports run one way."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import carenotify
from carenotify import errors
from carenotify.config import Settings
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel, Lane, Status
from carenotify.domain.template_check import check_template
from carenotify.messaging.topology import lane_queues
from carenotify.templates import load_template_files
from carenotify.worker.channel_worker import ChannelWorker

ROOT = Path(__file__).parents[2]
PACKAGE = Path(carenotify.__file__).parent
MIGRATIONS = PACKAGE / "storage" / "migrations" / "versions"


def _sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_imports_run_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "include"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Contracts: [7-9] kept, 0 broken", done.stdout)


# What stays out of the worker's image: these rooms bring Flask, the sources' and the quality gate's packages.
_NOT_IN_WORKERS = {"api", "sources", "quality", "sandbox"}


def _imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_workers_bring_whatever_their_rooms_import() -> None:
    texts = [(ROOT / f"requirements-worker.{kind}").read_text() for kind in ("in", "txt")]
    brought = set(re.findall(r"^([a-z0-9-]+)", "\n".join(texts), re.MULTILINE))
    rooms = [source for source in _sources() if source.relative_to(PACKAGE).parts[0] not in _NOT_IN_WORKERS]
    names = {name for source in rooms for name in _imported(source)} - sys.stdlib_module_names - {"carenotify"}
    known = packages_distributions()
    packages = {name: {re.sub(r"[._]", "-", each.lower()) for each in known[name]} for name in names}
    assert not {name for name, found in packages.items() if not found & brought}


class _NoConsumer:
    """Stands where a worker connects; only its queues are of interest."""

    asked: Sequence[str] = ()

    def __call__(self, queues: Sequence[str], **_: Any) -> _NoConsumer:
        self.asked = queues
        return self


def test_every_queue_that_is_declared_is_consumed_by_one_worker() -> None:
    consumed: list[str] = []
    for channel in Channel:
        connect = _NoConsumer()
        ChannelWorker(channel=channel, deliverer=None, connect=connect, threads=1)  # type: ignore[arg-type]
        consumed.extend(connect.asked)
    assert sorted(consumed) == sorted(lane_queues())
    assert len(set(consumed)) == len(Channel) * len(Lane)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_every_kind_has_a_wording_that_fits_its_data_for_each_of_its_channels(kind: Any) -> None:
    default = Settings.model_fields["default_language"].default
    files = [file for file in load_template_files() if file.code == kind.template]
    assert {file.channel for file in files if file.language == default} >= set(kind.channels)
    for file in files:
        check_template(file, kind.data)


def test_every_wording_is_some_kinds() -> None:
    assert {file.code for file in load_template_files()} <= {kind.template for kind in KINDS.values()}


def _error_types() -> list[type[errors.CarenotifyError]]:
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    return [one for one in found if issubclass(one, errors.CarenotifyError)]


@pytest.mark.parametrize("error", _error_types(), ids=lambda error: error.__name__)
def test_every_error_says_when_it_is_raised_and_is_raised_or_has_children(error: type[Exception]) -> None:
    assert error.__doc__
    assert len(error.__doc__.split()) >= 4
    assert "__doc__" in vars(error)
    used = re.compile(rf"\b{error.__name__}\b")
    elsewhere = [path for path in _sources() if path.name != "errors.py" and used.search(path.read_text())]
    assert elsewhere or error.__subclasses__()


def test_every_error_is_ours() -> None:
    for _, one in inspect.getmembers(errors, inspect.isclass):
        if one.__module__ == errors.__name__:
            assert issubclass(one, errors.CarenotifyError)


def test_importing_the_house_opens_no_connection() -> None:
    """Every module that needs no Airflow is imported where opening a socket, or a thread, is an error."""
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in _sources()
        if path.name not in {"__main__.py", "env.py"} and "versions" not in path.parts and "quality" not in path.parts
    ]
    program = f"""
import importlib, socket, threading, warnings
warnings.simplefilter("ignore")
def refuse(*_, **__): raise AssertionError("a connection at import")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = refuse
for name in {modules!r}:
    importlib.import_module(name)
started = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
assert not started, started
"""
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "carenotify.app.providers" in modules


def test_an_app_costs_nothing_until_it_is_used() -> None:
    program = """
import socket, sys
def refuse(*_, **__): raise AssertionError("a connection")
socket.socket.connect = socket.create_connection = refuse
from cryptography.fernet import Fernet
from carenotify.app import build_app
from carenotify.config import load_settings
app = build_app(load_settings({
    "CARENOTIFY_DATABASE_URL": "postgresql://127.0.0.1:9/x", "CARENOTIFY_BROKER_URL": "amqp://127.0.0.1:9/",
    "CARENOTIFY_TIMEZONE": "UTC", "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "CARENOTIFY_INDEX_KEY": "an index key for the tests",
}))
app.close()
heavy = {"twilio", "boto3", "great_expectations", "flask", "airflow", "pandas"} & sys.modules.keys()
assert not heavy, heavy
"""
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _reads_of_the_environment(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            yield from (node.lineno for _ in {node.attr} & {"environ", "getenv"})


def test_only_the_settings_read_the_environment() -> None:
    readers = {path.relative_to(PACKAGE).as_posix() for path in _sources() if [*_reads_of_the_environment(path)]}
    # Two only set a variable that a library looks for when it is imported: Great Expectations would report home, and
    # Prometheus' client would not count together with other processes.
    assert readers == {"config.py", "quality/__init__.py", "metrics/sharing.py"}


def test_only_the_clock_reads_the_clock() -> None:
    """Rules are tried at any moment because the clock is handed in; the stand-ins for the outside have their own."""
    reading = re.compile(r"\b(datetime\.now|date\.today|datetime\.utcnow|time\.time)\(")
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in _sources()
        if path.relative_to(PACKAGE).parts[0] != "sandbox" and reading.search(path.read_text())
    }
    # The rate limits' library counts by the machine's clock, so what is left of a window is told by the same one.
    assert readers == {"domain/clock.py", "api/limits.py"}


def test_every_status_that_a_statement_names_is_one() -> None:
    named = re.compile(r"status\s*(?:=|<>|IN|NOT IN)\s*(\([^)]*\)|'[a-z]+')")
    found: set[str] = set()
    for name in (
        "outbox",
        "claims",
        "reminders",
        "delivery_report",
        "fallbacks",
        "unreached",
        "results",
        "evening_report",
    ):
        for match in named.findall((PACKAGE / "storage" / f"{name}.py").read_text()):
            found |= set(re.findall(r"'([a-z]+)'", match))
    assert {"pending", "queued", "sending", "sent"} <= found
    assert found - {"booked"} <= {status.value for status in Status}


def test_nothing_is_left_to_do() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert not [path for path in _sources() if unfinished.search(path.read_text())]
