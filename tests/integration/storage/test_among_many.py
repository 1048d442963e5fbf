"""What the page asks for reads few rows, however many there are: searches by every condition, and the day at a glance.

Rows that are read are counted, and no time is taken: a busy machine is slow and reads no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import psycopg
import pytest

from carenotify.app import App, build_app
from carenotify.journeys.read_notifications import read_page
from carenotify.storage import notification_search, overview
from carenotify.storage.database import Transaction
from tests.integration.ward import make_settings

DAYS, A_DAY = 12, 10_000
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
LAST = FIRST + timedelta(days=DAYS - 1)
PAGE = 51
Found = TypeVar("Found")

# One of a thousand fails, and one of two hundred is about a change. Ids as UUIDv7 has them.
_FILL = f"""
WITH made AS (
    SELECT number, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8000'
                       || lpad(to_hex(number), 12, '0') AS id
    FROM (
        SELECT number, timestamptz '{FIRST.isoformat()}' + number * interval '{86_400 / A_DAY} seconds' AS at
        FROM generate_series(0, {DAYS * A_DAY - 1}) AS number
    ) numbered
),
notified AS (
    INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, status, reason, due_at, expires_at,
                               template_version_id, sealed_data, provider, created_at, queued_at, finished_at,
                               followed_up_at, alerted_for)
    SELECT id::uuid, 'k' || number, CASE number % 200 WHEN 7 THEN 'rescheduled' ELSE 'reminder' END, 'low',
           CASE number % 2 WHEN 0 THEN 'sms' ELSE 'email' END, 'p' || number % 5000,
           CASE WHEN number % 1000 = 3 THEN 'failed' WHEN number % 2 = 0 THEN 'delivered' ELSE 'sent' END,
           CASE number % 1000 WHEN 3 THEN 'carrier' END, at, at + interval '3 hours',
           (SELECT min(id) FROM template_versions), '', 'p', at, at, at, at, at
    FROM made
    ORDER BY number
),
linked AS (
    INSERT INTO notification_appointments SELECT id::uuid, 'a' || number, '' FROM made
)
INSERT INTO delivery_attempts (notification_id, attempt, provider, outcome, finished_at)
SELECT id::uuid, 1, 'p', 'sent', at FROM made ORDER BY number
"""


@pytest.fixture(scope="module")
def many(module_database_url: str) -> Iterator[App]:
    app = build_app(make_settings(module_database_url))
    with psycopg.connect(module_database_url, autocommit=True, options="-c search_path=carenotify") as connection:
        connection.execute("SET session_replication_role = replica")  # foreign keys hold as they are written
        connection.execute(_FILL)
        connection.execute("VACUUM ANALYZE notifications, notification_appointments, delivery_attempts")
    yield app
    app.close()


_READ = "SELECT seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = %s"


def rows_read(app: App, table: str, work: Callable[[Transaction], Found]) -> tuple[Found, int]:
    """What is found, and how many rows of a table are looked at for it, by whatever way."""
    with app.database.transaction() as transaction:
        overview.hold_still(transaction, statement_seconds=20)
        transaction.execute("SET LOCAL max_parallel_workers_per_gather = 0")  # workers count for themselves
        before = transaction.execute(_READ, (table,)).fetchone()
        found = work(transaction)
        after = transaction.execute(_READ, (table,)).fetchone()
    assert before is not None
    assert after is not None
    return found, after[0] - before[0]


def search(app: App, wanted: Mapping[str, object]) -> tuple[int, int]:
    """How many a page of a search holds, and how many rows were looked at for it."""
    found, read = rows_read(
        app, "notifications", lambda transaction: notification_search.newest(transaction, wanted, limit=PAGE)
    )
    return len(found), read


def deep(app: App) -> object:
    """The cursor of a page in the middle."""
    middle = {"until": FIRST + timedelta(days=DAYS / 2)}
    with app.database.transaction() as transaction:
        return notification_search.newest(transaction, middle, limit=1)[0].id


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, PAGE),
        ({"patient_id": "p77"}, 24),
        ({"patient_id": "nobody"}, 0),
        ({"appointment_id": "a4711"}, 1),
        ({"appointment_id": "none"}, 0),
        ({"status": "failed"}, PAGE),
        ({"status": "failed", "channel": "sms"}, 0),
        ({"status": "bounced"}, 0),
        ({"status": "pending"}, 0),
        ({"status": "sending"}, 0),
        ({"status": "delivered"}, PAGE),
        ({"channel": "email"}, PAGE),
        ({"kind": "rescheduled"}, PAGE),
        ({"kind": "booked"}, 0),
        ({"kind": "rescheduled", "status": "failed"}, 0),
        ({"reason": "carrier"}, PAGE),
        ({"reason": "no_receipt"}, 0),
        ({"reason": "carrier", "status": "delivered"}, 0),
    ],
    ids=str,
)
def test_a_page_reads_little_first_and_deep_down(many: App, wanted: dict[str, object], found: int) -> None:
    assert search(many, wanted) == (found, pytest.approx(0, abs=2_000))
    below, read = search(many, wanted | {"before": deep(many)})
    assert below <= found
    assert read <= 2_000


@pytest.mark.parametrize(
    "more", [{}, {"channel": "sms"}, {"status": "delivered", "channel": "email"}, {"kind": "booked"}], ids=str
)
@pytest.mark.parametrize(
    "span",
    [
        {"since": FIRST, "until": FIRST + timedelta(days=1)},
        {"since": FIRST + timedelta(days=9), "until": FIRST + timedelta(days=9, hours=1)},
        {"until": FIRST + timedelta(days=2)},
        {"since": LAST + timedelta(hours=12)},
        {"since": LAST + timedelta(days=3)},
        {"until": FIRST},
    ],
    ids=["first day", "an hour", "until long ago", "since today", "to come", "before all"],
)
def test_a_span_of_time_reads_no_more_than_its_days(
    many: App, span: dict[str, object], more: dict[str, object]
) -> None:
    _, read = search(many, span | more)
    assert read <= 4 * A_DAY


def test_what_no_index_finds_is_looked_for_to_the_end_while_there_is_time(many: App) -> None:
    never = {"status": "delivered", "channel": "email"}
    page = read_page(many.database, never, limit=50)
    assert (page.states, page.next) == ([], None)


def test_when_there_is_no_time_the_next_page_goes_on_where_this_one_ended(many: App) -> None:
    def hurried(wanted: Mapping[str, object]) -> tuple[list[UUID], UUID | None]:
        seconds = itertools.count(step=10)
        page = read_page(many.database, wanted, limit=200, timer=lambda: float(next(seconds)))
        return [state.id for state in page.states], page.next

    wanted: dict[str, object] = {"status": "sent", "channel": "email", "since": LAST + timedelta(hours=23)}
    all_at_once = read_page(many.database, wanted, limit=1_000)
    found, cursor = hurried(wanted)
    while cursor is not None:
        more, cursor = hurried(wanted | {"before": cursor})
        found += more
    assert found == [state.id for state in all_at_once.states]
    assert len(found) > 200

    never: dict[str, object] = {"status": "delivered", "channel": "email"}
    pages = 0
    found, cursor = hurried(never)
    while cursor is not None:
        pages += 1
        assert found == []
        found, cursor = hurried(never | {"before": cursor})
    assert pages == DAYS * A_DAY // 50_000


def test_a_day_at_a_glance_reads_that_day(many: App) -> None:
    day = {"since": LAST, "until": LAST + timedelta(days=1)}

    def look(transaction: Transaction) -> None:
        assert sum(overview.by_channel_and_status(transaction, **day).values()) == A_DAY
        assert sum(step.sent for step in overview.timeline(transaction, **day)) == A_DAY

    _, notifications = rows_read(many, "notifications", look)
    assert notifications <= 4 * A_DAY  # it is looked at twice, with the pages beside it
    _, attempts = rows_read(many, "delivery_attempts", look)
    assert attempts <= 3 * A_DAY


def test_an_ordinary_reminder_is_in_none_of_the_indexes_of_the_page(many: App) -> None:
    with many.database.transaction() as transaction:
        entries = transaction.execute(
            "SELECT relname FROM pg_class WHERE reltuples > %s AND relname IN"
            " ('notifications_by_reason', 'notifications_by_unusual_kind', 'notifications_unhappy')",
            (DAYS * A_DAY / 100,),
        ).fetchall()
    assert entries == []
