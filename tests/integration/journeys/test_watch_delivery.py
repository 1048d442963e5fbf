"""Exactly every failure is told, on real PostgreSQL: none is left out, none is repeated, and states begin and end."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from carenotify.app import App
from carenotify.domain.alert import AlertKind, Severity
from carenotify.domain.notification import Channel
from carenotify.errors import AddressRejectedError
from carenotify.journeys.note_failure import note_load_held, note_run_failed
from carenotify.journeys.pace_sending import UNPACED
from carenotify.storage import failures, heartbeats, pauses
from carenotify.storage.ingest_runs import settle_run, start_run
from carenotify.storage.returned_messages import keep_unknown
from tests.integration.alerting import Messages, all_alerts, empty
from tests.integration.ward import MAIL, NOON, Hospital, SetClock, wait_for

UNHAPPY = ("failed", "bounced", "suppressed", "unsubscribed", "expired")


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for the tests of this file, empty at the beginning of each."""
    return module_database_url


@pytest.fixture(autouse=True)
def _empty(hospital: Hospital) -> None:
    empty(hospital)


@pytest.fixture
def messages(hospital: Hospital) -> Messages:
    return Messages(hospital)


def told_of(app: App) -> Counter[tuple[object, ...]]:
    """How many messages were told of, by what is said of them."""
    counts: Counter[tuple[object, ...]] = Counter()
    for alert in all_alerts(app):
        counts[(alert.channel, alert.details["status"], alert.details["reason"], str(alert.told))] += alert.count
    return counts


# --- failures --------------------------------------------------------------------------------


def test_nothing_is_said_when_all_is_well(app: App, messages: Messages) -> None:
    messages.add(3, status="sent", reason=None)
    messages.add(3, status="delivered", reason=None, name="b")
    messages.add(3, status="cancelled", reason="cancelled_by_request", name="c")
    messages.add(3, status="superseded", reason="appointment_changed", name="d")
    assert app.delivery_watch.look() == {}
    assert all_alerts(app) == []


def test_failures_of_one_reason_are_one_alert_and_told_once(app: App, messages: Messages) -> None:
    ids = messages.add(7)
    messages.add(2, reason="address_rejected", code="21211", name="b")
    messages.add(1, channel="email", status="bounced", reason="bounced", code="550 5.1.1", name="c")
    assert app.delivery_watch.look() == {"delivery_failed": 10}
    assert told_of(app) == {
        ("sms", "failed", "retries_spent", "nobody"): 7,
        ("sms", "failed", "address_rejected", "nobody"): 2,
        ("email", "bounced", "bounced", "nobody"): 1,
    }
    (seven,) = [alert for alert in all_alerts(app) if alert.count == 7]
    assert set(seven.details["samples"]) < {str(one) for one in ids}
    assert len(seven.details["samples"]) == 5
    assert (seven.details["patients"], seven.details["code"]) == (7, "503")
    assert app.delivery_watch.look() == {}


@pytest.mark.parametrize("status", UNHAPPY)
def test_no_unhappy_end_is_left_out(app: App, messages: Messages, status: str) -> None:
    messages.add(2, status=status)
    assert app.delivery_watch.look() == {"delivery_failed": 2}


def test_what_fails_again_is_told_again(app: App, messages: Messages, clock: SetClock) -> None:
    ids = messages.add(3)
    app.delivery_watch.look()
    messages.fail_again(ids[:2], at=NOON + timedelta(minutes=5))
    clock.advance(minutes=6)
    assert app.delivery_watch.look() == {"delivery_failed": 2}
    assert app.delivery_watch.look() == {}


def test_what_a_fallback_may_mend_waits_for_the_decision_and_not_for_longer_than_a_minute(
    app: App, messages: Messages, clock: SetClock
) -> None:
    messages.add(1, decided=False)
    clock.advance(seconds=59)
    assert app.delivery_watch.look() == {}
    clock.advance(seconds=2)
    assert app.delivery_watch.look() == {"delivery_failed": 1}


def test_a_decision_about_the_failure_before_is_none_about_this_one(
    app: App, messages: Messages, clock: SetClock
) -> None:
    ids = messages.add(1)
    app.delivery_watch.look()
    clock.advance(minutes=5)
    messages.fail_again(ids, at=clock(), decided=False)
    assert app.delivery_watch.look() == {}
    clock.advance(seconds=61)
    assert app.delivery_watch.look() == {"delivery_failed": 1}


def test_a_receipt_that_came_long_after_sending_gives_the_fallback_its_time_too(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock
) -> None:
    (failed,) = messages.add(1, decided=False)
    clock.advance(hours=1)
    hospital.query(
        "INSERT INTO receipts (notification_id, provider, provider_message_id, provider_status, status, received_at,"
        " applied_at) VALUES (%s, 'twilio', 'SM1', 'undelivered', 'failed', %s, %s) RETURNING 1",
        failed,
        clock(),
        clock(),
    )
    assert app.delivery_watch.look() == {}
    clock.advance(seconds=61)
    assert app.delivery_watch.look() == {"delivery_failed": 1}


@pytest.mark.parametrize(
    ("other", "told", "severity"),
    [
        ("sent", "otherwise", Severity.NOTICE),
        ("delivered", "otherwise", Severity.NOTICE),
        ("pending", "under_way", Severity.NOTICE),
        ("queued", "under_way", Severity.NOTICE),
        ("sending", "under_way", Severity.NOTICE),
        ("superseded", "nobody", Severity.WARNING),
        (None, "nobody", Severity.WARNING),
    ],
)
def test_it_is_said_whether_the_patient_has_it_by_another_message(
    app: App, messages: Messages, other: str | None, told: str, severity: Severity
) -> None:
    messages.add(2)
    if other is not None:
        messages.add(2, channel="email", status=other, reason=None)
    assert app.delivery_watch.look() == {"delivery_failed": 2}
    (alert,) = all_alerts(app)
    assert (alert.told, alert.severity) == (told, severity)


def test_when_every_message_of_a_patient_failed_nobody_was_reached(app: App, messages: Messages) -> None:
    messages.add(2)
    messages.add(2, channel="email", status="bounced", reason="bounced")
    app.delivery_watch.look()
    assert {alert.told for alert in all_alerts(app)} == {"nobody"}


def test_a_message_of_another_patient_or_day_reaches_nobody_else(
    app: App, messages: Messages, hospital: Hospital
) -> None:
    messages.add(1)
    messages.add(1, channel="email", status="sent", reason=None)
    hospital.query(
        "UPDATE notifications SET dedup_key = replace(dedup_key, '-27', '-28') WHERE status = 'sent' RETURNING 1"
    )
    messages.add(1, channel="email", status="sent", reason=None, name="anna1")  # whose number is 11
    app.delivery_watch.look()
    (alert,) = all_alerts(app)
    assert alert.told == "nobody"


def test_a_message_that_tells_less_is_not_as_good(app: App, messages: Messages, hospital: Hospital) -> None:
    (failed,) = messages.add(1)
    (sent,) = messages.add(1, channel="email", status="sent", reason=None)
    for message, appointments in ((failed, ("a1", "a2")), (sent, ("a1",))):
        for appointment in appointments:
            hospital.query(
                "INSERT INTO notification_appointments VALUES (%s, %s, 'as it stands') RETURNING 1",
                message,
                appointment,
            )
    app.delivery_watch.look()
    assert [alert.told for alert in all_alerts(app)] == ["nobody"]


def test_who_was_not_told_as_they_asked_is_less_grave(app: App, messages: Messages) -> None:
    messages.add(2, status="suppressed", reason="opted_out", code=None)
    messages.add(1, status="unsubscribed", reason="opted_out", code="21610", name="b")
    app.delivery_watch.look()
    assert {(alert.told, alert.severity) for alert in all_alerts(app)} == {("as_asked", Severity.NOTICE)}


def test_a_day_on_which_a_provider_refuses_numbers_is_told_with_what_became_of_their_patients(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    for name, wish, mail in (("both", ["sms", "email"], MAIL), ("sms", ["sms"], MAIL), ("alone", ["sms"], None)):
        hospital.add_patient(name, mail=mail)
        hospital.set_preferences(name, channels=wish)
        hospital.add_appointment(f"of {name}", name)
    app.reminder_planner.plan(NOON.date())
    app.providers[Channel.SMS][0].script = lambda _: AddressRejectedError("21211")  # type: ignore[attr-defined]
    app.due_sender.send_due(Channel.EMAIL, UNPACED)
    app.due_sender.send_due(Channel.SMS, UNPACED)
    app.fallback_sweeper.sweep()
    assert app.delivery_watch.look() == {"delivery_failed": 3}
    told = {alert.told: alert.count for alert in all_alerts(app)}
    assert told == {"otherwise": 1, "under_way": 1, "nobody": 1}
    app.due_sender.send_due(Channel.EMAIL, UNPACED)
    assert app.delivery_watch.look() == {}


def test_two_looks_at_once_tell_each_failure_once(app: App, messages: Messages) -> None:
    messages.add(500)
    messages.add(500, reason="carrier", name="b")
    with ThreadPoolExecutor(6) as lookers:
        done = [lookers.submit(app.delivery_watch.look) for _ in range(6)]
    assert sum(one.result().get("delivery_failed", 0) for one in done) == 1000
    assert sorted(alert.count for alert in all_alerts(app)) == [500, 500]


def test_a_row_that_somebody_holds_is_told_by_the_next_look(app: App, messages: Messages) -> None:
    ids = messages.add(3)
    with app.database.transaction() as transaction:
        transaction.execute("SELECT FROM notifications WHERE id = %s FOR UPDATE", (ids[0],))
        assert app.delivery_watch.look() == {"delivery_failed": 2}
    assert app.delivery_watch.look() == {"delivery_failed": 1}


def test_a_flood_is_told_within_two_seconds_whatever_the_planner_thinks_of_the_table(
    app: App, messages: Messages
) -> None:
    with app.database.transaction() as transaction:
        transaction.execute("ANALYZE notifications")  # it is empty, and was not
    messages.add(8000)
    messages.add(8000, channel="email", status="bounced", reason="bounced")
    began = time.monotonic()
    assert app.delivery_watch.look() == {"delivery_failed": 16_000}
    assert time.monotonic() - began < 8  # two at ease; this machine may be busy
    assert len(all_alerts(app)) <= 4


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3), st.sampled_from(UNHAPPY), st.booleans()),
        st.tuples(st.just("fail_again"), st.integers(0, 20)),
        st.just(("look",)),
        st.tuples(st.just("pass"), st.integers(1, 200)),
    ),
    max_size=14,
)


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_fails_and_whenever_somebody_looks_each_failure_is_told_exactly_once(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock, steps: list[tuple[object, ...]]
) -> None:
    empty(hospital)
    ids: list[UUID] = []
    failures = 0
    for number, (what, *arguments) in enumerate(steps):
        clock.advance(seconds=1)
        if what == "add":
            many, status, decided = arguments
            name = f"{number}-"
            ids += messages.add(int(str(many)), name=name, status=str(status), at=clock(), decided=bool(decided))
            failures += int(str(many))
        elif what == "fail_again" and ids:
            # Whoever was not told of the first time is told of the last one.
            again = [ids[int(str(arguments[0])) % len(ids)]]
            untold = hospital.query(
                "SELECT alerted_for IS DISTINCT FROM finished_at FROM notifications WHERE id = %s", *again
            )
            messages.fail_again(again, at=clock())
            failures += 0 if untold[0][0] else 1
        elif what == "look":
            app.delivery_watch.look()
        elif what == "pass":
            clock.advance(seconds=int(str(arguments[0])))
    clock.advance(seconds=61)
    app.delivery_watch.look()
    assert app.delivery_watch.look() == {}
    assert sum(alert.count for alert in all_alerts(app)) == failures


# --- what the broker gave up -----------------------------------------------------------------


def letter(
    hospital: Hospital, *, source: str, reason: str, resolution: str | None = None, of: UUID | None = None
) -> None:
    hospital.query(
        "INSERT INTO dead_letters (source, reason, attempts, created_at, resolution, notification_id, queue)"
        " VALUES (%s, %s, 1, %s, %s, %s, 'sms.low') RETURNING 1",
        source,
        reason,
        NOON,
        resolution,
        of,
    )


def test_what_the_broker_gave_up_is_told_once(app: App, hospital: Hospital) -> None:
    for _ in range(3):
        letter(hospital, source="broker", reason="not_an_envelope")
    letter(hospital, source="broker", reason="unknown_notification")
    assert app.delivery_watch.look() == {"broker_gave_up": 4}
    assert sorted(alert.count for alert in all_alerts(app)) == [1, 3]
    assert app.delivery_watch.look() == {}


def test_a_message_of_nobody_is_told_again_only_when_it_comes_after_somebody_has_put_it_away(
    app: App, hospital: Hospital
) -> None:
    def comes() -> None:
        with app.database.transaction() as transaction:
            keep_unknown(transaction, [UUID(int=1)], now=NOON, sealer=app.database.sealer)

    comes()
    assert app.delivery_watch.look() == {"broker_gave_up": 1}
    comes()
    assert app.delivery_watch.look() == {}
    hospital.query("UPDATE dead_letters SET resolved_at = %s, resolution = 'discarded' RETURNING 1", NOON)
    comes()
    assert app.delivery_watch.look() == {"broker_gave_up": 1}


def test_dead_letters_of_failed_messages_and_what_is_due_again_are_not_told_twice(
    app: App, hospital: Hospital, messages: Messages
) -> None:
    failed, returned = messages.add(2)
    letter(hospital, source="delivery", reason="retries_spent", of=failed)
    letter(hospital, source="broker", reason="returned_by_broker", of=returned)
    letter(hospital, source="broker", reason="returned_by_broker", resolution="due_again")
    assert app.delivery_watch.look() == {"delivery_failed": 2}


# --- states ----------------------------------------------------------------------------------


def provider(
    hospital: Hospital, name: str, state: str, *, since: timedelta, retry: timedelta | None = None, successes: int = 0
) -> None:
    hospital.query(
        "INSERT INTO provider_states (provider, state, successes, changed_at, retry_at, last_code)"
        " VALUES (%s, %s, %s, %s, %s, '401')"
        " ON CONFLICT (provider) DO UPDATE SET state = excluded.state, successes = excluded.successes,"
        " changed_at = excluded.changed_at, retry_at = excluded.retry_at RETURNING 1",
        name,
        state,
        successes,
        NOON + since,
        None if retry is None else NOON + retry,
    )


def open_states(app: App) -> set[str]:
    return {alert.kind.value for alert in all_alerts(app) if alert.resolved_at is None}


def test_a_provider_that_is_down_is_told_once_and_its_return_when_it_has_lasted(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    provider(hospital, "twilio", "open", since=timedelta())
    assert app.delivery_watch.look() == {"provider_down": 1}
    for minute in range(1, 6):  # each trial that fails opens it anew
        clock.advance(minutes=1)
        provider(hospital, "twilio", "half_open" if minute % 2 else "open", since=timedelta(minutes=minute))
        assert app.delivery_watch.look() == {}
    provider(hospital, "twilio", "closed", since=timedelta(minutes=5), successes=2)
    app.delivery_watch.look()
    assert open_states(app) == {"provider_down"}
    clock.advance(minutes=6)
    app.delivery_watch.look()
    assert open_states(app) == set()
    provider(hospital, "twilio", "open", since=timedelta(minutes=12))
    assert app.delivery_watch.look() == {"provider_down": 1}


def test_one_that_was_down_between_two_looks_is_told_and_one_that_nobody_uses_is_not(
    app: App, hospital: Hospital
) -> None:
    provider(hospital, "smtp", "closed", since=-timedelta(minutes=1), successes=2)
    provider(hospital, "sns", "open", since=timedelta())
    provider(hospital, "twilio", "closed", since=-timedelta(hours=3), successes=2)
    assert app.delivery_watch.look() == {"provider_down": 1}
    assert [alert.subject for alert in all_alerts(app)] == ["smtp"]


@pytest.mark.parametrize("channel", [Channel.SMS, None], ids=["sms", "every channel"])
def test_a_pause_is_told_while_messages_wait_for_its_end(
    app: App, messages: Messages, clock: SetClock, channel: Channel | None
) -> None:
    with app.database.transaction() as transaction:
        pauses.pause(transaction, channel, by="op", now=NOON)
    assert app.delivery_watch.look() == {}
    messages.add(3, status="queued", reason=None)
    messages.add(2, status="pending", reason=None, name="b")
    assert app.delivery_watch.look() == {"paused_in_window": 1}
    assert [alert.count for alert in all_alerts(app)] == [5]
    clock.advance(minutes=20)
    assert app.delivery_watch.look() == {}  # what is paused is not stalled
    with app.database.transaction() as transaction:
        pauses.resume(transaction, channel)
    app.delivery_watch.look()
    assert "paused_in_window" not in open_states(app)


@pytest.mark.parametrize("status", ["pending", "queued"])
def test_a_channel_on_which_nothing_is_sent_although_messages_wait_has_stalled(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock, status: str
) -> None:
    messages.add(4, status=status, reason=None)
    hospital.query("UPDATE notifications SET queued_at = due_at RETURNING 1")
    clock.advance(seconds=170)
    assert app.delivery_watch.look() == {}
    clock.advance(seconds=20)
    assert app.delivery_watch.look() == {"sending_stalled": 1}
    hospital.query("UPDATE notifications SET status = 'sent', finished_at = due_at RETURNING 1")
    app.delivery_watch.look()
    assert open_states(app) == set()


def test_a_long_queue_that_moves_has_not_stalled_but_what_is_never_published_has(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock
) -> None:
    (sent,) = messages.add(1, status="sent", reason=None)
    messages.add(4, status="pending", reason=None, name="b")
    for minutes, told in ((10, {}), (20, {"sending_stalled": 1})):
        clock.now = NOON + timedelta(minutes=minutes)
        hospital.query(
            "INSERT INTO delivery_attempts (notification_id, attempt, outcome, finished_at) VALUES (%s, 1, 'sent', %s)"
            " RETURNING 1",
            sent,
            clock(),
        )
        assert app.delivery_watch.look() == told


def test_what_waits_for_providers_that_are_all_down_has_not_stalled_too(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock
) -> None:
    messages.add(4, status="pending", reason=None)
    provider(hospital, "twilio", "open", since=timedelta(), retry=timedelta(minutes=10))
    clock.advance(minutes=12)
    assert app.delivery_watch.look() == {"provider_down": 1}
    clock.advance(minutes=1)  # and no worker has tried it again, when all of them are gone
    assert app.delivery_watch.look() == {"sending_stalled": 1}


def test_a_slow_channel_beside_a_busy_one_has_not_stalled(
    app: App, messages: Messages, hospital: Hospital, clock: SetClock
) -> None:
    messages.add(1, status="sent", reason=None, name="slow")
    messages.add(4, status="pending", reason=None, name="b")
    messages.add(1, channel="email", status="sent", reason=None, name="busy")
    clock.advance(minutes=5)
    attempts = (
        "INSERT INTO delivery_attempts (notification_id, attempt, outcome, finished_at)"
        " SELECT id, number, 'sent', %s FROM notifications, generate_series(1, %s) AS number"
        " WHERE status = 'sent' AND channel = %s RETURNING 1"
    )
    hospital.query(attempts, clock() - timedelta(minutes=2), 1, "sms")
    hospital.query(attempts, clock(), 25_000, "email")
    assert app.delivery_watch.look() == {}


def load(app: App, run_id: str, status: str, *, at: timedelta, reason: str | None = None) -> None:
    with app.database.transaction() as transaction:
        day = date(2026, 11, 24)
        start_run(transaction, run_id=run_id, now=NOON + at, first_day=day, last_day=day)
        settle_run(transaction, run_id=run_id, status=status, now=NOON + at, reason=reason)


def test_a_load_that_is_held_is_told_until_somebody_has_decided(app: App, clock: SetClock) -> None:
    load(app, "run 1", "held", at=timedelta(), reason="patients would be told of 612 changes ahead")
    assert app.delivery_watch.look() == {"load_held": 1}
    load(app, "run 2", "loaded", at=timedelta(minutes=30))
    assert app.delivery_watch.look() == {}
    assert open_states(app) == {"load_held"}
    with app.database.transaction() as transaction:
        settle_run(transaction, run_id="run 1", status="discarded", now=clock(), reason="discarded by a person")
    assert app.delivery_watch.look() == {}
    assert open_states(app) == set()


def test_a_load_that_failed_is_told_although_a_newer_one_has_thrown_it_away_and_again_when_it_fails_again(
    app: App, clock: SetClock
) -> None:
    load(app, "run 1", "discarded", at=timedelta(), reason="a step of the load failed; removed when a newer load began")
    assert app.delivery_watch.look() == {"load_held": 1}
    assert open_states(app) == {"load_held"}
    load(app, "run 2", "loaded", at=timedelta(minutes=30))
    assert app.delivery_watch.look() == {}
    assert open_states(app) == set()
    load(app, "run 1", "failed", at=timedelta(minutes=60), reason="a step of the load failed")
    clock.advance(minutes=62)
    assert app.delivery_watch.look() == {"load_held": 1}


def test_a_load_that_failed_in_a_run_of_airflow_is_told_once_as_that_run_and_one_by_command_as_a_load(
    app: App, clock: SetClock
) -> None:
    for run in ("scheduled", "cli"):
        load(app, run, "failed", at=timedelta(), reason="a step of the load failed")
    assert app.delivery_watch.look() == {}  # Airflow may not have noted it yet
    assert note_run_failed(app.database, "ingest_appointments", "scheduled", "look", clock()) is not None
    clock.advance(minutes=2)
    assert app.delivery_watch.look() == {"load_held": 1}
    with app.database.transaction() as transaction:
        settle_run(transaction, run_id="scheduled", status="discarded", now=clock(), reason="removed by a newer load")
    assert app.delivery_watch.look() == {}
    assert [alert.subject for alert in all_alerts(app)] == ["ingest_appointments scheduled", "cli"]


@pytest.mark.parametrize("watch_first", [False, True])
def test_a_held_load_is_told_once_whether_its_run_or_a_look_tells_it_and_so_is_its_end(
    app: App, clock: SetClock, watch_first: bool
) -> None:
    load(app, "scheduled", "held", at=timedelta(), reason="612 changes")
    if watch_first:
        assert app.delivery_watch.look() == {"load_held": 1}
    for _ in range(2):  # as a scheduler may call
        assert note_load_held(app.database, "scheduled", clock())
    clock.advance(minutes=10)
    assert app.delivery_watch.look() == {}
    (alert,) = all_alerts(app)
    assert alert.kind is AlertKind.LOAD_HELD
    assert alert.details == {
        "status": "held",
        "reason": "612 changes",
        "dag_id": "ingest_appointments",
        "run": "scheduled",
        "besides": [
            "days that did not come whole: 2026-11-24",
            "changes since the last good load did not come whole; the next load asks for them again",
        ],
    }
    assert open_states(app) == {"load_held"}
    with app.database.transaction() as transaction:
        settle_run(transaction, run_id="scheduled", status="discarded", now=clock(), reason="discarded by a person")
    assert app.delivery_watch.look() == {}
    assert open_states(app) == set()
    assert len(all_alerts(app)) == 1


def test_a_load_that_was_held_by_command_is_no_run_of_airflow(app: App) -> None:
    load(app, "command__2026-11-24T08:00:00+00:00", "held", at=timedelta())
    assert app.delivery_watch.look() == {"load_held": 1}
    (alert,) = all_alerts(app)
    assert "dag_id" not in alert.details


def test_whoever_tells_of_a_held_load_takes_turns_with_those_who_look(app: App, clock: SetClock) -> None:
    load(app, "scheduled", "held", at=timedelta())
    with ThreadPoolExecutor(1) as thread:
        with app.database.transaction() as transaction:
            failures.take_turn(transaction)
            noting = thread.submit(note_load_held, app.database, "scheduled", clock())
            waits = (
                "SELECT FROM pg_locks JOIN pg_database found ON found.oid = database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            wait_for(lambda: noting.done() or transaction.execute(waits).fetchone() is not None)
            assert not noting.done()
        assert noting.result(timeout=10)


def test_a_load_that_is_held_once_more_is_told_once_more(app: App, clock: SetClock) -> None:
    for minutes in (0, 60):
        load(app, "scheduled", "held", at=timedelta(minutes=minutes))
        assert note_load_held(app.database, "scheduled", clock())
    assert len(all_alerts(app)) == 2


@pytest.mark.parametrize("status", ["failed", "loaded", "running", None])
def test_the_failure_of_a_run_whose_load_is_not_held_is_not_told_as_a_held_load(
    app: App, clock: SetClock, status: str | None
) -> None:
    load(app, "another", "held", at=timedelta())
    if status is not None:
        load(app, "scheduled", status, at=timedelta())
    assert not note_load_held(app.database, "scheduled", clock() + timedelta(minutes=5))
    assert all_alerts(app) == []


def test_a_look_is_a_sign_of_life(app: App, clock: SetClock) -> None:
    clock.advance(minutes=3)
    app.delivery_watch.look()
    clock.advance(minutes=-1)  # another machine's clock
    app.delivery_watch.look()
    with app.database.transaction() as transaction:
        assert heartbeats.last_beat(transaction, "watch_delivery") == NOON + timedelta(minutes=3)
        assert heartbeats.last_beat(transaction, "another") is None


def test_a_plan_is_noted_with_its_first_time_and_a_dry_run_is_not(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    for number in range(2):
        hospital.add_patient(f"p{number}")
        hospital.add_appointment(f"a{number}", f"p{number}")
    day = NOON.date()
    app.reminder_planner.plan(day, dry_run=True)
    assert hospital.query("SELECT * FROM reminder_plans") == []
    app.reminder_planner.plan(day)
    hospital.add_patient("late")
    hospital.add_appointment("late", "late")
    clock.advance(minutes=5)
    app.reminder_planner.plan(day)
    assert hospital.query("SELECT * FROM reminder_plans") == [(day, NOON, 3, 6)]


def test_every_kind_that_lasts_has_somebody_who_finds_it() -> None:
    from carenotify.journeys.find_states import STATES

    assert set(STATES) == {
        AlertKind.LOAD_HELD,
        AlertKind.SENDING_STALLED,
        AlertKind.PROVIDER_DOWN,
        AlertKind.PAUSED_IN_WINDOW,
    }
