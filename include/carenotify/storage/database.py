"""The one way to PostgreSQL: a pool that opens on first use, and transactions that close before any network call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from carenotify.errors import DatabaseUnavailableError, DeadlockError, StorageError
from carenotify.storage.sealed import Sealer

Transaction = psycopg.Connection[TupleRow]
Done = TypeVar("Done")


# A server that is away, ending, failing over (read-only for a while), or whose connection was closed under us.
_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
    PoolTimeout,
)

# A process that stands still in the middle of a transaction (a machine that is moved, a debugger) must not hold its
# locks for ever: others wait for the same provider's pace. The server ends such a connection.
_IDLE_SECONDS = 30
# A host that is gone without a word (a cable, a firewall) would be waited for as long as the kernel has patience, for a
# quarter of an hour and more (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES).
_GONE_WITHOUT_A_WORD = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,  # milliseconds
}


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections are in use and how many are open for the next one, and who waits for one."""

    busy: int
    idle: int
    waiting: int


class Database:
    """A pool of connections to the `carenotify` schema, with the sealer that its personal data needs.

    `transaction()` commits when its block ends and rolls back when it raises. Losing the server raises
    DatabaseUnavailableError, after which the next call tries again.
    """

    def __init__(self, url: str, *, sealer: Sealer, max_connections: int = 8, application: str = "carenotify") -> None:
        self.url = url
        self.sealer = sealer
        self._max_connections = max_connections
        self._application = application
        self._opening = threading.Lock()
        self._pool: ConnectionPool[Transaction] | None = None

    def _open_pool(self) -> ConnectionPool[Transaction]:
        """The pool, opened by whoever comes first."""
        with self._opening:
            if self._pool is None:
                self._pool = self._new_pool()
            return self._pool

    def _new_pool(self) -> ConnectionPool[Transaction]:
        options: dict[str, Any] = {
            # Compiling a statement takes longer than any of ours runs.
            "options": (
                f"-c search_path=carenotify -c jit=off -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
            ),
            "application_name": self._application,
            "connect_timeout": 5,
            **_GONE_WITHOUT_A_WORD,
        }
        return ConnectionPool(
            self.url,
            min_size=1,
            max_size=self._max_connections,
            kwargs=options,
            check=ConnectionPool.check_connection,
            timeout=10,
            reconnect_timeout=30,
            open=True,
            name=self._application,
        )

    @contextmanager
    def transaction(self, *, timeout_seconds: float | None = None) -> Iterator[Transaction]:
        """A connection in a transaction of its own, waited for no longer than that (10 s when not given)."""
        try:
            with self._open_pool().connection(timeout=timeout_seconds) as connection:
                yield connection
        except psycopg.errors.DeadlockDetected:
            raise DeadlockError("two transactions waited for each other, and this one was ended") from None
        except _PASSING as error:
            raise DatabaseUnavailableError(f"{self._place} cannot be used just now ({type(error).__name__})") from None
        except psycopg.Error as error:
            # Its text may quote a row.
            raise StorageError(f"{self._place} refused a statement ({type(error).__name__})") from None

    def run(self, work: Callable[[Transaction], Done], *, tries: int = 3) -> Done:
        """What `work` gives, in a transaction of its own; another one when PostgreSQL ended that for a deadlock.

        Loads and events can each hold rows that the other waits for.
        """
        for _ in range(tries - 1):
            with suppress(DeadlockError), self.transaction() as transaction:
                return work(transaction)
        with self.transaction() as transaction:
            return work(transaction)

    @property
    def _place(self) -> str:
        parts = urlsplit(self.url)
        return f"the database at {parts.hostname}:{parts.port or 5432}{parts.path}"

    def answers(self, *, timeout_seconds: float) -> bool:
        """Whether the server can be used now."""
        try:
            with self.transaction(timeout_seconds=timeout_seconds) as transaction:
                transaction.execute("SELECT")
        except DatabaseUnavailableError:
            return False
        return True

    def connections(self) -> Connections:
        """How the connections of this process stand now."""
        pool = self._pool
        found = {} if pool is None else pool.get_stats()
        size, idle = found.get("pool_size", 0), found.get("pool_available", 0)
        return Connections(max(0, size - idle), idle, found.get("requests_waiting", 0))

    def close(self) -> None:
        """Let go of the pool, when one was opened."""
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


def has_schema(transaction: Transaction) -> bool:
    """Whether somebody has run the migrations here."""
    row = transaction.execute("SELECT to_regclass('notifications') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])
