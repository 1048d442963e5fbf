"""How many messages one person gets in an hour, however many are asked for and whoever delivers them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from carenotify.app import App, build_app
from carenotify.domain.kinds import MESSAGE, MessageData
from carenotify.domain.notification import Channel
from carenotify.journeys.request_notification import Wish
from carenotify.storage import outbox
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, make_settings


@pytest.fixture
def make_app(database_url: str, clock: SetClock) -> Iterator[Callable[..., App]]:
    made: list[App] = []

    def make(**settings: str) -> App:
        app = build_app(make_settings(database_url, **settings), clock=clock)
        app.__dict__["providers"] = {channel: (ScriptedProvider(channel),) for channel in Channel}
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@pytest.fixture
def hourly(make_app: Callable[..., App]) -> App:
    """An app that lets 5 messages an hour through."""
    return make_app(CARENOTIFY_RECIPIENT_MESSAGES_PER_HOUR="5")


def ask(app: App, messages: int, *, patient_id: str = "anna", key: str = "k", later: timedelta | None = None) -> None:
    """So many messages for a patient, as through the API, each a digest of its own."""
    data = MessageData(subject="Your results", text="They are here.")
    for number in range(messages):
        due_at = app.clock() + later if later else None
        wish = Wish(MESSAGE, patient_id, data, channels=(Channel.SMS,), due_at=due_at)
        asked = app.notification_requester.request(wish, caller="lab", key=f"{key}{number}", body={})
        assert len(asked.notification_ids) == 1


def due(hospital: Hospital, now: datetime) -> list[UUID]:
    return [
        row[0]
        for row in hospital.query(
            "SELECT id FROM notifications WHERE status = 'pending' AND due_at <= %s ORDER BY 1", now
        )
    ]


def deliver(app: App, ids: list[UUID]) -> Counter[str]:
    """Claim, send and record; why the others were not claimed."""
    claims, refused = app.deliverer.claim(ids)
    app.deliverer.record([app.deliverer.send(claim) for claim in claims])
    return refused


def test_what_is_beyond_the_hours_number_waits_without_spending_an_attempt(hourly: App) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient()
    ask(hourly, 8)
    assert deliver(hourly, due(hospital, NOON))["rate_limited"] == 3
    assert (
        hospital.query("SELECT status, reason, attempts, due_at, finished_at FROM notifications ORDER BY id")[5:]
        == [("pending", "rate_limited", 0, NOON + timedelta(minutes=15), None)] * 3
    )
    assert hospital.statuses() == Counter(sent=5, pending=3)


def test_it_goes_when_the_hour_has_room_again(hourly: App, clock: SetClock) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient()
    ask(hourly, 8)
    deliver(hourly, due(hospital, clock.now))
    clock.advance(minutes=59)
    assert deliver(hourly, due(hospital, clock.now))["rate_limited"] == 3
    clock.advance(minutes=15)
    assert deliver(hourly, due(hospital, clock.now)) == Counter()
    assert hospital.statuses() == Counter(sent=8)


def test_it_expires_when_its_window_closes_first(hourly: App, clock: SetClock) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient()
    ask(hourly, 6)
    hospital.query("UPDATE notifications SET expires_at = %s RETURNING 1", NOON + timedelta(minutes=3))
    deliver(hourly, due(hospital, clock.now))
    clock.advance(minutes=3)
    with hourly.database.transaction() as transaction:
        outbox.expire(transaction, now=clock.now)
    assert hospital.statuses() == Counter(sent=5, expired=1)


def test_each_person_is_counted_alone_and_all_records_of_one_together(hourly: App) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient("anna")
    hospital.add_patient("anna-before", merged_into="anna")
    hospital.add_patient("ben", phone="+4915112345679")
    for patient_id in ("anna", "anna-before", "ben"):
        ask(hourly, 4, patient_id=patient_id, key=patient_id)
    deliver(hourly, due(hospital, NOON))
    sent = "SELECT patient_id LIKE 'anna%%', count(*) FROM notifications WHERE status = 'sent' GROUP BY 1 ORDER BY 1"
    assert hospital.query(sent) == [(False, 4), (True, 5)]


def test_changes_of_appointments_go_out_all_the_same_and_count(hourly: App) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient()
    ask(hourly, 8)
    sixth = "(SELECT id FROM notifications ORDER BY id DESC LIMIT 1 OFFSET 5)"
    hospital.query(f"UPDATE notifications SET kind = 'cancelled' WHERE id >= {sixth} RETURNING 1")
    urgent, others = [
        [row[0] for row in hospital.query("SELECT id FROM notifications WHERE kind = %s ORDER BY id", kind)]
        for kind in ("cancelled", "message")
    ]
    claims, refused = hourly.deliverer.claim(urgent)
    assert (len(claims), refused["rate_limited"]) == (6, 0)
    claims, refused = hourly.deliverer.claim(others)
    assert (len(claims), refused["rate_limited"]) == (0, 2)


def test_they_are_limited_too_when_the_setting_says_so(make_app: Callable[..., App]) -> None:
    app = make_app(CARENOTIFY_RECIPIENT_MESSAGES_PER_HOUR="5", CARENOTIFY_RECIPIENT_LIMIT_SPARES_URGENT="false")
    hospital = Hospital(app.database)
    hospital.add_patient()
    ask(app, 8)
    hospital.query("UPDATE notifications SET kind = 'cancelled' RETURNING 1")
    claims, refused = app.deliverer.claim(due(hospital, NOON))
    assert (len(claims), refused["rate_limited"]) == (5, 3)


def test_nothing_is_limited_when_the_limit_is_off(make_app: Callable[..., App]) -> None:
    app = make_app(CARENOTIFY_RECIPIENT_MESSAGES_PER_HOUR="0")
    hospital = Hospital(app.database)
    hospital.add_patient()
    ask(app, 120)
    assert deliver(app, due(hospital, NOON)) == Counter()
    assert hospital.statuses() == Counter(sent=120)


def test_a_burst_of_500_to_one_person_sends_100_whatever_several_workers_take_of_it(
    make_app: Callable[..., App],
) -> None:
    app = make_app()
    hospital = Hospital(app.database)
    hospital.add_patient()
    ask(app, 500)
    ids = due(hospital, NOON)
    random.Random(7).shuffle(ids)
    batches = [ids[start : start + 28] for start in range(0, 500, 28)]
    with ThreadPoolExecutor(6) as workers:
        list(workers.map(lambda batch: deliver(app, batch), batches))
    assert hospital.statuses() == Counter(sent=100, pending=400)


def test_what_is_not_due_yet_or_was_not_taken_does_not_count(hourly: App, clock: SetClock) -> None:
    hospital = Hospital(hourly.database)
    hospital.add_patient()
    ask(hourly, 5, key="tomorrow", later=timedelta(hours=20))
    ask(hourly, 4, key="stopped")
    hospital.query("UPDATE notifications SET status = 'cancelled' WHERE due_at = %s RETURNING 1", NOON)
    ask(hourly, 5, key="now")
    assert deliver(hourly, due(hospital, clock.now)) == Counter()
    assert hospital.statuses() == Counter(sent=5, cancelled=4, pending=5)
