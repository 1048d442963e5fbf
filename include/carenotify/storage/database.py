"""The one way to PostgreSQL: a pool that opens on first use, and transactions that close before any network call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolTimeout

from carenotify.errors import DatabaseUnavailableError
from carenotify.storage.sealed import Sealer

Transaction = psycopg.Connection[TupleRow]


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

    @cached_property
    def _pool(self) -> ConnectionPool[Transaction]:
        options: dict[str, Any] = {
            "options": "-c search_path=carenotify",
            "application_name": self._application,
            "connect_timeout": 5,
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
            with self._pool.connection(timeout=timeout_seconds) as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise DatabaseUnavailableError(f"{self._place} cannot be used just now ({type(error).__name__})") from error

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

    def close(self) -> None:
        """Let go of the pool, when one was opened."""
        if "_pool" in self.__dict__:
            self._pool.close()
            del self.__dict__["_pool"]


def has_schema(transaction: Transaction) -> bool:
    """Whether somebody has run the migrations here."""
    row = transaction.execute("SELECT to_regclass('notifications') IS NOT NULL").fetchone()
    return row is not None and bool(row[0])
