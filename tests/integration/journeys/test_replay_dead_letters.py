"""What failed is sent once more when a person says so, and only when that is still right."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from carenotify.app import App
from carenotify.domain.dead_letter import Refusal
from carenotify.domain.notification import LIVING, Channel, Status
from carenotify.errors import NotFoundError, NotReplayableError, TemporaryDeliveryError
from carenotify.journeys import replay_dead_letters as replaying
from carenotify.journeys.discard_dead_letters import discard_dead_letters
from carenotify.journeys.list_dead_letters import list_dead_letters, read_dead_letter
from carenotify.journeys.replay_dead_letters import (
    Replayed,
    replay_dead_letter,
    replay_dead_letters,
    replay_matching,
)
from carenotify.worker.channel_worker import ChannelWorker
from carenotify.worker.relay_loop import RelayLoop
from tests.integration.ward import NOON, Hospital, ScriptedProvider, SetClock, wait_for

TODAY = date(2026, 11, 24)


def fail_all(hospital: Hospital, reason: str = "retries_spent") -> list[int]:
    """Every notification has failed; gives its dead letters' ids, in the order of the notifications."""
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = %s, attempts = 6, finished_at = %s, error_code = '500',"
        " followed_up_at = %s, queued_at = %s RETURNING 1",
        *(reason, NOON, NOON, NOON),
    )
    rows = hospital.query(
        "INSERT INTO dead_letters (notification_id, reason, code, attempts, created_at)"
        " SELECT id, %s, '500', 6, %s FROM notifications ORDER BY id RETURNING id",
        *(reason, NOON),
    )
    return [row[0] for row in rows]


def plan(app: App, hospital: Hospital, patients: int = 1) -> list[UUID]:
    for number in range(patients):
        hospital.add_patient(f"p{number}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    return [row[0] for row in hospital.query("SELECT id FROM notifications ORDER BY id")]


def add_fallback(hospital: Hospital, of: UUID, status: str) -> UUID:
    """A message that takes the other's place."""
    [(identity,)] = hospital.query(
        "INSERT INTO notifications (id, dedup_key, kind, lane, channel, patient_id, status, due_at, expires_at,"
        " template_version_id, sealed_data, fallback_of)"
        " SELECT gen_random_uuid(), dedup_key || 'f' || gen_random_uuid(), kind, lane, 'email', patient_id, %s, due_at,"
        " expires_at, template_version_id, sealed_data, id FROM notifications WHERE id = %s RETURNING id",
        *(status, of),
    )
    hospital.query(
        "INSERT INTO notification_appointments SELECT %s, appointment_id, content_hash FROM notification_appointments"
        " WHERE notification_id = %s RETURNING 1",
        *(identity, of),
    )
    return UUID(str(identity))


def replay(app: App, *ids: int, dry_run: bool = False) -> Replayed:
    return replay_dead_letters(app.database, ids, by="tests", clock=app.clock, dry_run=dry_run)


def audit(hospital: Hospital) -> list[tuple[Any, ...]]:
    return hospital.query("SELECT actor, action, subject FROM audit_log ORDER BY id")


# --- to the provider -------------------------------------------------------------------------


@pytest.fixture
def ward(broker_app: App) -> Hospital:
    return Hospital(broker_app.database)


@pytest.fixture
def sms(broker_app: App) -> ScriptedProvider:
    (provider,) = broker_app.providers[Channel.SMS]
    assert isinstance(provider, ScriptedProvider)
    return provider


@pytest.fixture
def at_work(broker_app: App) -> Iterator[None]:
    """A worker and a relay."""
    worker = ChannelWorker(channel=Channel.SMS, deliverer=broker_app.deliverer, connect=broker_app.consumer, threads=2)
    relay = RelayLoop(broker_app.relay, interval_seconds=0.05)
    worker.start()
    relay.start()
    yield
    relay.stop()
    worker.drain()


def test_what_failed_for_good_reaches_the_provider_once_when_it_is_replayed(
    broker_app: App, ward: Hospital, sms: ScriptedProvider, clock: SetClock, at_work: None
) -> None:
    sms.script = lambda _: TemporaryDeliveryError("500")
    ids = plan(broker_app, ward, patients=3)
    ward.query("UPDATE notifications SET attempts = 5 RETURNING 1")
    wait_for(lambda: ward.statuses() == Counter(failed=3))
    assert not sms.times
    sms.script = lambda _: None
    outcome = replay_matching(
        broker_app.database,
        reasons=["retries_spent"],
        channel=None,
        most=None,
        by="tests",
        clock=clock,  # type: ignore[arg-type]
    )
    assert len(outcome.replayed) == 3
    wait_for(lambda: ward.statuses() == Counter(sent=3))
    assert sms.times == Counter(ids)
    assert ward.query("SELECT DISTINCT attempts, resolution, resolved_by FROM dead_letters") == [
        (6, "replayed", "tests")
    ]
    assert ward.query("SELECT max(attempt) FROM delivery_attempts WHERE outcome = 'sent'") == [(1,)]


def test_two_replays_at_the_same_moment_send_once(
    broker_app: App, ward: Hospital, sms: ScriptedProvider, request: pytest.FixtureRequest
) -> None:
    ids = plan(broker_app, ward, patients=20)
    letters = fail_all(ward)
    start, outcomes = threading.Barrier(2), list[Replayed]()

    def act() -> None:
        start.wait()
        outcomes.append(replay(broker_app, *letters))

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(outcome.replayed) for outcome in outcomes) == [0, 20]
    request.getfixturevalue("at_work")
    wait_for(lambda: ward.statuses() == Counter(sent=20))
    assert sms.times == Counter(ids)


# --- the row ---------------------------------------------------------------------------------


def test_a_replayed_notification_begins_anew(app: App, hospital: Hospital, clock: SetClock) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    clock.advance(seconds=90)
    assert replay(app, letter) == Replayed({letter}, {})
    assert hospital.query(
        "SELECT status, reason, attempts, due_at, claim_token, claimed_until, publish_until, queued_at, finished_at,"
        " followed_up_at, error_code FROM notifications"
    ) == [("pending", None, 0, clock.now, *[None] * 7)]
    assert audit(hospital) == [("tests", "dead_letter.replayed", str(letter))]


def test_it_answers_every_letter_of_the_notification(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    letters = [*fail_all(hospital), *fail_all(hospital)]
    assert replay(app, letters[1]).replayed == {letters[1]}
    assert hospital.query("SELECT DISTINCT resolution FROM dead_letters") == [("replayed",)]
    assert {row[2] for row in audit(hospital)} == {str(letter) for letter in letters}


def test_a_patient_whom_nobody_knew_is_asked_for_again(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    replay(app, *fail_all(hospital, reason="contact_unknown"))
    assert hospital.query("SELECT status, reason FROM notifications") == [("pending", "awaiting_contact")]


def test_a_dry_run_says_the_same_and_changes_nothing(app: App, hospital: Hospital) -> None:
    plan(app, hospital, patients=2)
    letters = fail_all(hospital)
    before = hospital.query("SELECT * FROM notifications ORDER BY id")
    dry = replay(app, *letters, dry_run=True)
    assert hospital.query("SELECT * FROM notifications ORDER BY id") == before
    assert audit(hospital) == []
    assert dry == replay(app, *letters)


# --- refusals --------------------------------------------------------------------------------


def refusal(app: App, letter: int) -> Refusal:
    """Told alike by looking and by trying, and in both cases nothing is changed."""
    shown = read_dead_letter(app.database, letter, now=app.clock()).refusal
    before = Hospital(app.database).query("SELECT id, status, due_at FROM notifications ORDER BY id")
    with pytest.raises(NotReplayableError) as caught:
        replay_dead_letter(app.database, letter, by="tests", clock=app.clock)
    assert Hospital(app.database).query("SELECT id, status, due_at FROM notifications ORDER BY id") == before
    assert shown is not None
    assert str(caught.value) == Refusal(shown).explanation
    return Refusal(shown)


def test_a_reminder_whose_window_is_over_cannot_be_replayed(app: App, hospital: Hospital, clock: SetClock) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    [(clock.now,)] = hospital.query("SELECT expires_at FROM notifications")
    assert refusal(app, letter) == Refusal.WINDOW_OVER


def test_what_says_what_is_no_longer_true_cannot_be_replayed(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    hospital.add_appointment("a0", "p0", start=NOON + timedelta(days=3, hours=4))
    assert refusal(app, letter) == Refusal.APPOINTMENT_CHANGED


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.FAILED}))
def test_only_what_failed_can_be_replayed(app: App, hospital: Hospital, status: str) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    hospital.query("UPDATE notifications SET status = %s RETURNING 1", status)
    assert refusal(app, letter) == Refusal.NOT_FAILED


def test_what_was_replayed_or_discarded_before_cannot_be_replayed(app: App, hospital: Hospital) -> None:
    plan(app, hospital, patients=2)
    replayed, discarded = fail_all(hospital)
    replay(app, replayed)
    discard_dead_letters(app.database, [discarded], by="tests", now=NOON)
    assert refusal(app, replayed) == refusal(app, discarded) == Refusal.RESOLVED


def test_a_broken_message_cannot_be_replayed(app: App, hospital: Hospital) -> None:
    [(letter,)] = hospital.query(
        "INSERT INTO dead_letters (source, reason, attempts, created_at, message_hash)"
        " VALUES ('broker', 'not_an_envelope', 1, now(), 'x') RETURNING id"
    )
    assert refusal(app, letter) == Refusal.NO_NOTIFICATION


@pytest.mark.parametrize("status", sorted(LIVING))
def test_what_a_fallback_has_told_or_will_tell_is_not_sent_again(app: App, hospital: Hospital, status: str) -> None:
    (identity,) = plan(app, hospital)
    (letter,) = fail_all(hospital)
    add_fallback(hospital, add_fallback(hospital, identity, "failed"), status)
    assert refusal(app, letter) == Refusal.ANOTHER_TOOK_OVER


def test_nor_is_a_fallback_when_what_it_stood_in_for_was_replayed(app: App, hospital: Hospital) -> None:
    (identity,) = plan(app, hospital)
    add_fallback(hospital, identity, "failed")
    letters = fail_all(hospital)
    both = replay(app, *letters)
    assert len(both.replayed) == 1
    assert list(both.refused.values()) == [Refusal.ANOTHER_TOOK_OVER]
    (left,) = both.refused
    assert refusal(app, left) == Refusal.ANOTHER_TOOK_OVER
    assert hospital.statuses() == Counter(pending=1, failed=1)


def test_a_fallback_that_failed_too_stands_in_nobodys_way(app: App, hospital: Hospital) -> None:
    (identity,) = plan(app, hospital)
    (letter,) = fail_all(hospital)
    add_fallback(hospital, identity, "bounced")
    assert replay(app, letter).replayed == {letter}


def test_a_reminder_that_was_planned_anew_is_not_replayed_beside_it(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    app.reminder_planner.plan(TODAY)
    assert hospital.statuses() == Counter(failed=1, pending=1)
    assert refusal(app, letter) == Refusal.ANOTHER_TOOK_OVER


def test_what_was_planned_anew_on_the_other_channel_is_not_told_twice(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    hospital.set_preferences(channels=["sms"])
    app.reminder_planner.plan(TODAY)
    (letter,) = fail_all(hospital)
    hospital.query("UPDATE preferences SET channels = '{email}' RETURNING 1")
    app.reminder_planner.plan(TODAY)
    assert hospital.query("SELECT channel, status FROM notifications ORDER BY id") == [
        ("sms", "failed"),
        ("email", "pending"),
    ]
    assert refusal(app, letter) == Refusal.ANOTHER_TOOK_OVER


def test_of_two_that_failed_on_both_channels_one_is_replayed(app: App, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    outcome = replay(app, *fail_all(hospital))
    assert outcome.summary() == {"replayed": 1, "another_took_over": 1}
    assert hospital.statuses() == Counter(pending=1, failed=1)


def test_of_two_that_tell_of_one_day_the_fuller_one_is_replayed(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    fail_all(hospital)
    hospital.add_appointment("more", "p0", start=NOON + timedelta(days=3, hours=5))
    app.reminder_planner.plan(TODAY)
    hospital.query("DELETE FROM dead_letters RETURNING 1")
    partial, fuller = fail_all(hospital)
    outcome = replay(app, partial, fuller)
    assert (outcome.replayed, outcome.refused) == ({fuller}, {partial: Refusal.ANOTHER_TOOK_OVER})


def test_what_tells_only_a_part_of_it_stands_in_nobodys_way(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    hospital.add_appointment("more", "p0", start=NOON + timedelta(days=3, hours=5))
    app.reminder_planner.plan(TODAY)
    letters = fail_all(hospital)
    assert replay(app, letters[0]).replayed == {letters[0]}
    assert replay(app, letters[1]).replayed == {letters[1]}


def test_an_unknown_id_among_others_changes_nothing(app: App, hospital: Hospital) -> None:
    plan(app, hospital)
    (letter,) = fail_all(hospital)
    with pytest.raises(NotFoundError, match="there is no dead letter 7000, 7001"):
        replay(app, letter, 7001, 7000)
    assert hospital.statuses() == Counter(failed=1)


# --- many ------------------------------------------------------------------------------------


def test_many_are_replayed_by_reason_and_channel_oldest_first_up_to_a_limit(
    app: App, hospital: Hospital, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_BATCH", 3)
    plan(app, hospital, patients=8)
    letters = fail_all(hospital)
    hospital.query("UPDATE dead_letters SET reason = 'wording' WHERE id = %s RETURNING 1", letters[0])
    hospital.add_appointment("a1", "p1", start=NOON + timedelta(days=3, hours=4))

    def matching(**wanted: Any) -> dict[str, int]:
        chosen = {"reasons": ["retries_spent"], "channel": None, "most": None} | wanted
        return replay_matching(app.database, **chosen, by="tests", clock=clock).summary()

    assert matching(channel=Channel.EMAIL) == {"replayed": 0}
    assert matching(most=4, dry_run=True) == {"replayed": 4, "appointment_changed": 1}
    assert matching(most=4) == {"replayed": 4, "appointment_changed": 1}
    assert hospital.statuses() == Counter(pending=4, failed=4)
    assert matching() == {"replayed": 2, "appointment_changed": 1}
    assert matching(reasons=None, channel=Channel.SMS) == {"replayed": 1, "appointment_changed": 1}
    assert hospital.statuses() == Counter(pending=7, failed=1)


# --- looking and discarding ------------------------------------------------------------------


def test_a_list_is_paged_and_filtered_newest_first(app: App, hospital: Hospital) -> None:
    plan(app, hospital, patients=5)
    letters = fail_all(hospital)
    discard_dead_letters(app.database, letters[:1], by="tests", now=NOON)

    def listed(**wanted: Any) -> list[int]:
        return [letter.id for letter in list_dead_letters(app.database, wanted, now=NOON, limit=10).letters]

    first = list_dead_letters(app.database, {"is_open": True}, now=NOON, limit=3)
    assert ([letter.id for letter in first.letters], first.next) == (letters[:1:-1], letters[2])
    rest = list_dead_letters(app.database, {"is_open": True, "before": first.next}, now=NOON, limit=3)
    assert ([letter.id for letter in rest.letters], rest.next) == ([letters[1]], None)
    assert listed(is_open=False) == letters[:1]
    assert listed(channel=Channel.SMS, reasons=["retries_spent"], source="delivery") == letters[::-1]
    assert listed(channel=Channel.EMAIL) == listed(reasons=["wording"]) == listed(source="broker") == []


def test_what_is_due_again_by_itself_is_nothing_for_people(app: App, hospital: Hospital) -> None:
    hospital.query(
        "INSERT INTO dead_letters (source, reason, attempts, created_at, resolution, resolved_at)"
        " VALUES ('broker', 'returned_by_broker', 1, now(), 'due_again', now()) RETURNING 1"
    )
    assert list_dead_letters(app.database, {}, now=NOON, limit=10).letters == []


def test_discarding_sends_nothing_is_noted_once_and_can_be_said_twice(app: App, hospital: Hospital) -> None:
    plan(app, hospital, patients=2)
    letters = fail_all(hospital)
    assert discard_dead_letters(app.database, letters, by="somebody", now=NOON) == set(letters)
    assert discard_dead_letters(app.database, letters, by="another", now=NOON) == set()
    assert hospital.statuses() == Counter(failed=2)
    assert hospital.query("SELECT DISTINCT resolution, resolved_by, resolved_at FROM dead_letters") == [
        ("discarded", "somebody", NOON)
    ]
    assert audit(hospital) == [("somebody", "dead_letter.discarded", str(letter)) for letter in letters]


def test_discarding_with_one_that_is_unknown_or_was_replayed_changes_nothing(app: App, hospital: Hospital) -> None:
    plan(app, hospital, patients=2)
    replayed, other = fail_all(hospital)
    with pytest.raises(NotFoundError):
        discard_dead_letters(app.database, [other, 7000], by="tests", now=NOON)
    replay(app, replayed)
    with pytest.raises(NotReplayableError):
        discard_dead_letters(app.database, [other, replayed], by="tests", now=NOON)
    assert hospital.query("SELECT resolution FROM dead_letters WHERE id = %s", other) == [(None,)]
