"""One drill's system: real servers, the sandbox, workers, and a day's messages."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, LiteralString

import psycopg
from cryptography.fernet import Fernet

from bench.rows import add_appointments
from carenotify.app import App, build_app
from carenotify.config import load_settings
from carenotify.domain.notification import Lane, Status
from drills.private_server import ROOT, DrillError, PrivateServer
from drills.sandbox_process import ACCOUNT_SID, AUTH_TOKEN, SandboxProcess, sandbox_process
from drills.workers import Workers
from stack.processes import MARKER
from stack.progress import say

WORKERS, THREADS = 2, 8
CHANNELS = 2
_LONGEST_WAIT_SECONDS = 300.0
_DATABASE_SECONDS = 60.0


@dataclass(frozen=True)
class Size:
    """How large a drill is: messages, how often its fault strikes, for how many seconds, and how slow a call is."""

    messages: int
    rounds: int = 1
    seconds: float = 0.0
    call_seconds: float = 0.0


@dataclass
class Ward:
    """`stalled_seconds`: when nothing has moved for so long, what has no end yet is lost."""

    app: App
    sandbox: SandboxProcess
    workers: Workers
    database: PrivateServer
    broker: PrivateServer
    size: Size
    random: Random
    stalled_seconds: float
    planned: set[str] = field(default_factory=set)
    claimed_at_kills: set[tuple[str, str]] = field(default_factory=set)
    taken_unrecorded: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _connection: psycopg.Connection[tuple[Any, ...]] | None = None

    # --- the day ---------------------------------------------------------------------------------

    def plan(self, *, over_seconds: float = 0.0, publish: bool = False) -> None:
        """A text and a mail for each patient, due now or one after the other, left to the relays or published here."""
        self.app.seed_templates()
        day = add_appointments(self.app, self.size.messages // CHANNELS, mail=True)
        self.app.reminder_planner.plan(day)
        self.query(
            "UPDATE notifications n SET due_at = now() + o.place * interval '1 second' "
            "FROM (SELECT id, %s::float * row_number() OVER (ORDER BY id) / count(*) OVER () AS place "
            "      FROM notifications) o WHERE o.id = n.id RETURNING 1",
            over_seconds,
        )
        self.planned = set(self.statuses())
        if len(self.planned) != self.size.messages:
            raise DrillError(f"{len(self.planned)} messages were planned instead of {self.size.messages}")
        if publish:
            self.app.due_publisher.publish_due(Lane.LOW)

    def start(self) -> None:
        """Let the workers begin."""
        self.workers.start(WORKERS)

    def query(self, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database on a connection of our own, waiting for it while it is away."""
        deadline = time.monotonic() + _DATABASE_SECONDS
        while True:
            try:
                self._connection = self._connection or self._connect()
                return self._connection.execute(statement, parameters).fetchall()
            except psycopg.OperationalError:
                self._connection = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            self.app.database.url, options="-c search_path=carenotify", connect_timeout=5, autocommit=True
        )

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()

    def statuses(self) -> dict[str, Status]:
        """How each notification stands, those included that took another's place."""
        return {str(row[0]): Status(row[1]) for row in self.query("SELECT id, status FROM notifications")}

    def unfinished(self) -> int:
        """How many have no end yet."""
        statement = "SELECT count(*) FROM notifications WHERE status IN ('pending', 'queued', 'sending')"
        return int(self.query(statement)[0][0])

    # --- waiting ---------------------------------------------------------------------------------

    def wait_for(self, condition: Callable[[], bool], what: str, *, seconds: float = _LONGEST_WAIT_SECONDS) -> None:
        """Come back when the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise DrillError(f"waited {seconds:.0f} s in vain: {what}")
            time.sleep(0.05)

    def wait_for_received(self, messages: float) -> None:
        """Come back when so many have been received, or nothing is left to send."""
        self.wait_for(
            lambda: self.sandbox.received() >= messages or self.unfinished() == 0, f"{messages} messages received"
        )

    def wait_for_share(self, share: float) -> None:
        """Come back when such a share of all messages has been received."""
        self.wait_for_received(share * self.size.messages)

    def wait_until_done(self) -> None:
        """Come back when every notification has come to an end, or nothing has moved for long."""
        seen, moved = None, time.monotonic()
        while (now := (self.unfinished(), self.sandbox.received()))[0]:
            if now != seen:
                seen, moved = now, time.monotonic()
            if time.monotonic() - moved > self.stalled_seconds:
                self.tell(f"nothing moves any more; {now[0]} messages have no end")
                return
            time.sleep(0.2)

    # --- what a fault exposes, and how long it is felt -------------------------------------------

    def note_claims(self) -> int:
        """Right after a kill: what is claimed and unrecorded may have been taken, and may come again."""
        rows = self.query("SELECT id, claim_token FROM notifications WHERE status = 'sending'")
        claims = {(str(identity), str(token)) for identity, token in rows} - self.claimed_at_kills
        self.claimed_at_kills |= claims
        return len(claims)

    def exposed(self) -> Counter[str]:
        """How often each notification may have been received again.

        Of what was claimed at a kill, the living workers recorded theirs; the rest was given up with its worker.
        """
        statement = "SELECT notification_id, count(*) FROM delivery_attempts WHERE outcome = 'worker_lost' GROUP BY 1"
        lost = Counter({str(identity): int(times) for identity, times in self.query(statement)})
        return (Counter(identity for identity, _ in self.claimed_at_kills) & lost) + self.taken_unrecorded

    def note_recovery(self, channel: str | None = None) -> None:
        """From now, the end of a fault, until the next message is received.

        When none is, all that was left may be lost: that is for the verdict to say, and nothing to wait for.
        """
        before, since = self.sandbox.received(channel), time.monotonic()
        given_up = since + 2 * self.stalled_seconds
        self.wait_for(
            lambda: self.sandbox.received(channel) > before or self.unfinished() == 0 or time.monotonic() > given_up,
            "deliveries go on",
        )
        if self.sandbox.received(channel) > before:
            self.recoveries.append(time.monotonic() - since)

    def kill_worker(self, position: int) -> None:
        """SIGKILL one, note what it left, start it again, and see that deliveries go on."""
        self.workers.kill(position)
        claimed = self.note_claims()
        self.workers.restart(position)
        self.note_recovery()
        self.tell(f"worker {position + 1} killed, {claimed} messages claimed; started again")

    def tell(self, text: str) -> None:
        """Say something to whoever watches."""
        say(f"    {time.monotonic() - self.began:6.1f} s  {text}")


@contextmanager
def open_ward(
    *,
    database: PrivateServer,
    broker: PrivateServer,
    database_url: str,
    broker_url: str,
    folder: Path,
    size: Size,
    settings: Mapping[str, str],
    stalled_seconds: float,
    seed: int,
    module: str = "carenotify.worker",
    arguments: tuple[str, ...] = (),
) -> Iterator[Ward]:
    """A ward on these servers; `module` is what its workers run."""
    plain = _plain_environment() | {MARKER: str(database.address["folder"])}
    with ExitStack() as stack:
        sandbox = stack.enter_context(sandbox_process(plain))
        ours = _settings(sandbox, database_url, broker_url) | dict(settings)
        app = build_app(
            load_settings({name: value for name, value in ours.items() if name.startswith("CARENOTIFY_")}),
            application="drill",
        )
        stack.callback(app.close)
        workers = Workers(plain | ours, folder, module, arguments)
        stack.callback(workers.end)
        ward = Ward(
            app=app,
            sandbox=sandbox,
            workers=workers,
            database=database,
            broker=broker,
            size=size,
            random=Random(seed),
            stalled_seconds=stalled_seconds,
        )
        stack.callback(ward.close)
        yield ward


def _plain_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARENOTIFY_")}
    return kept | {"PYTHONPATH": f"{ROOT / 'include'}:{ROOT}"}


def _settings(sandbox: SandboxProcess, database_url: str, broker_url: str) -> dict[str, str]:
    return {
        "CARENOTIFY_DATABASE_URL": database_url,
        "CARENOTIFY_BROKER_URL": broker_url,
        "CARENOTIFY_TIMEZONE": _zone_where_it_is_noon(),
        "CARENOTIFY_SEND_WINDOW": "00:00-24:00",
        "CARENOTIFY_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "CARENOTIFY_INDEX_KEY": "an index key for the drills",
        "CARENOTIFY_HOSPITAL_NAME": "St. Mary",
        "CARENOTIFY_HOSPITAL_PHONE": "030 1234",
        "CARENOTIFY_SMTP_URL": f"smtp://127.0.0.1:{sandbox.smtp_port}",
        "CARENOTIFY_EMAIL_FROM": "hospital@hospital.example",
        "CARENOTIFY_TWILIO_BASE_URL": sandbox.url,
        "CARENOTIFY_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "CARENOTIFY_TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "CARENOTIFY_TWILIO_FROM": "+15005550006",
        "CARENOTIFY_PUBLIC_URL": sandbox.url,
        "CARENOTIFY_SEND_THREADS": str(THREADS),
    }


def _zone_where_it_is_noon() -> str:
    """No drill runs into midnight, where windows close and days change."""
    east = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"
