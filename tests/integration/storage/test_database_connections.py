"""How the process behaves towards PostgreSQL."""

from __future__ import annotations

import select
from datetime import timedelta

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
