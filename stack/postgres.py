"""A private PostgreSQL server: its own data folder, loopback only, reached by password over TCP.

PostgreSQL refuses to run as root, so it runs under the `postgres` account then.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.kernel import works_in
from stack.processes import Processes, as_account
from stack.waiting import wait_until

OLDEST = 15
NAME = "postgres"
ADMIN = "carenotify"
STOP_SIGNAL = signal.SIGINT  # the fast way: SIGTERM would wait until every client has left
_INSTALLED = Path("/usr/lib/postgresql")
_PUBLIC = Path("/var/tmp")  # noqa: S108  # a folder of our own in it, and only ours when it exists already


def find_binaries() -> Path | None:
    """The folder with the newest PostgreSQL server's programs, of version 15 or later; None when there is none."""
    debian = [(int(folder.name), folder / "bin") for folder in _INSTALLED.glob("[0-9]*") if folder.name.isdecimal()]
    for version, folder in sorted(debian, reverse=True):
        if version >= OLDEST and (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found and _version(Path(found)) >= OLDEST else None


def _version(initdb: Path) -> int:
    answer = subprocess.run([initdb, "--version"], capture_output=True, text=True, check=False).stdout
    number = answer.split()[2].partition(".")[0] if len(answer.split()) > 2 else ""
    return int(number) if number.isdecimal() else 0


def server_account() -> pwd.struct_passwd | None:
    """The account to run under: `postgres` when we are root, our own (None) otherwise."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        raise StackError(
            "PostgreSQL cannot run as root and there is no account `postgres`; add one, or use another account."
        ) from None


def data_folder(run: Path) -> Path:
    """Where the data goes: in the run folder, or below /var/tmp when the server's account cannot get into that."""
    account = server_account()
    if account is None or _can_enter(run, account):
        return run / "postgres"
    digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return _PUBLIC / f"carenotify-{digest}" / "postgres"


def _can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    return run_as(account, ["test", "-x", folder], cwd=Path("/")).returncode == 0


def run_as(
    account: pwd.struct_passwd | None, command: Sequence[str | Path], *, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run a command under an account (None: our own), its output captured."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=_plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        **as_account(account),
    )


@dataclass(frozen=True)
class Postgres:
    """One private server. `durable=False` trades safety at a power cut for speed, for tests only."""

    processes: Processes
    port: int
    password: str
    durable: bool = True

    def url(self, database: str) -> str:
        """The address of a database on this server."""
        return f"postgresql://{ADMIN}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return data_folder(self.processes.folder)

    def start(self) -> None:
        """Create the data folder when it is not there, start the server, and return when it answers."""
        self._initialise()
        self.processes.start(
            NAME,
            [self._program("postgres"), "-D", self.data, *self._options()],
            environment=_plain_environment(),
            cwd=self.data,
            account=server_account(),
        )
        wait_until(self.answers, what="PostgreSQL", seconds=60, alive=lambda: self.processes.is_running(NAME))

    def answers(self) -> bool:
        """Whether the server takes our password and answers a query."""
        return self._psql("SELECT 1").returncode == 0

    def create_database(self, name: str) -> None:
        """Create an empty database when it is not there. `name` is one of ours, never a user's."""
        exists = self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'").stdout.strip() == "1"  # noqa: S608
        if not exists and (answer := self._psql(f'CREATE DATABASE "{name}"')).returncode != 0:
            raise StackError(f"The database {name} could not be created: {answer.stderr.strip()}")

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            self._forget_dead_owner()
            return
        place = self.data.parent
        place.mkdir(parents=True, exist_ok=True)
        if place.stat().st_uid != os.geteuid():
            raise StackError(f"{place} belongs to another account; remove it, or run as that account.")
        place.chmod(0o755)
        unfinished = place / "postgres-unfinished"  # renamed when whole, so that an interrupted start can be repeated
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._initdb(unfinished)
        unfinished.rename(self.data)

    def _forget_dead_owner(self) -> None:
        """Remove the lock of a server that is gone, when its pid is another program's by now."""
        lock = self.data / "postmaster.pid"
        if lock.exists() and not works_in(int(lock.read_text().split()[0]), self.data):
            lock.unlink()

    def _initdb(self, folder: Path) -> None:
        account = server_account()
        secret = folder.parent / "postgres-password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if account is not None:
            for path in (folder, secret):
                shutil.chown(path, account.pw_uid, account.pw_gid)
        command: list[str | Path] = [self._program("initdb"), "-D", folder, "-U", ADMIN, f"--pwfile={secret}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        try:
            answer = run_as(account, command if self.durable else [*command, "--no-sync"], cwd=folder)
        finally:
            secret.unlink()
        if answer.returncode != 0:
            raise StackError(f"PostgreSQL's data folder {folder} could not be created: {answer.stderr.strip()}")

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",  # a socket's path may have 107 bytes at most, and ours can be longer
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        environment = _plain_environment() | {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "3"}
        command: list[str | Path] = [
            self._program("psql"),
            "-XAtq",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            ADMIN,
        ]
        return subprocess.run(
            [*command, "-d", "postgres", "-c", statement],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @staticmethod
    def _program(name: str) -> Path:
        folder = find_binaries()
        if folder is None:
            raise StackError(f"PostgreSQL {OLDEST} or later is not installed; run: apt-get install postgresql")
        return folder / name


def _plain_environment() -> dict[str, str]:
    """Ours without the PG* variables, which would send our commands to somebody else's server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}
