"""How the process behaves towards PostgreSQL."""

from __future__ import annotations

import select
import socket
from datetime import timedelta
from os import dup

import pytest

from carenotify.app import App
from carenotify.errors import DatabaseUnavailableError


def test_whoever_stands_still_in_a_transaction_holds_its_locks_no_longer_than_half_a_minute(app: App) -> None:
    with app.database.transaction() as transaction:
        row = transaction.execute("SELECT current_setting('idle_in_transaction_session_timeout')::interval").fetchone()
    assert row == (timedelta(seconds=30),)


def test_a_connection_that_was_ended_for_that_is_a_passing_failure(app: App) -> None:
    with pytest.raises(DatabaseUnavailableError):
        _stand_still(app)
    with app.database.transaction() as transaction:
        assert transaction.execute("SELECT 1").fetchone() == (1,)


def _stand_still(app: App) -> None:
    with app.database.transaction() as transaction:
        transaction.execute("SET idle_in_transaction_session_timeout = '10ms'")
        assert select.select([transaction.fileno()], [], [], 10)[0], "the server says goodbye"
        transaction.execute("SELECT")


def test_a_host_that_is_gone_without_a_word_is_given_up_after_twenty_seconds(app: App) -> None:
    with app.database.transaction() as transaction, socket.socket(fileno=dup(transaction.fileno())) as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        asked_after = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        asked_again = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        times = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert asked_after + times * asked_again == 20
