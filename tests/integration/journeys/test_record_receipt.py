"""Receipts on real PostgreSQL: each once, in any order, before and after our own commit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from carenotify.app import App
from carenotify.channels.sms.twilio_receipts import receipt_of
from carenotify.domain.notification import Lane
from carenotify.domain.receipt import Receipt
from carenotify.errors import UnconfirmedDeliveryError
from carenotify.journeys.publish_due import Published
from carenotify.journeys.record_receipt import Recorded
from carenotify.journeys.relay_due import GRACE
from carenotify.storage import outbox, results
from carenotify.storage.claims import Claim
from tests.integration.ward import MOBILE, Hospital, SetClock

TODAY = date(2026, 11, 24)


@pytest.fixture
def notification(app: App, hospital: Hospital) -> UUID:
    """A reminder by SMS that is due."""
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(TODAY)
    [(identity,)] = hospital.query("SELECT id FROM notifications")
    assert isinstance(identity, UUID)
    return identity


def claim(app: App, notification: UUID) -> Claim:
    [claimed] = app.deliverer.claim([notification])[0]
    return claimed


def send(app: App, notification: UUID) -> None:
    app.deliverer.record([app.deliverer.send(claim(app, notification))])


def cut(app: App) -> None:
    """Every call from now on loses its answer."""
    for provider in app.providers["sms"]:  # type: ignore[index]
        provider.script = lambda _: UnconfirmedDeliveryError("connection-cut")  # type: ignore[attr-defined]


def said(notification: UUID, word: str, code: str | None = None, **more: Any) -> Receipt:
    return receipt_of(notification, f"id-{notification}", word=word, code=code, **more)


def row(hospital: Hospital, notification: UUID) -> tuple[Any, ...]:
    return hospital.query("SELECT status, reason, error_code FROM notifications WHERE id = %s", notification)[0]


def suppressed(app: App, hospital: Hospital) -> set[tuple[str, str]]:
    names = {app.sealer.index(MOBILE): "mobile"}
    found = hospital.query("SELECT address_index, reason FROM suppressions")
    return {(names.get(bytes(index), "another"), reason) for index, reason in found}


def waiting(hospital: Hospital) -> int:
    return int(hospital.query("SELECT count(*) FROM receipts WHERE applied_at IS NULL")[0][0])


def test_sent_becomes_delivered_and_keeps_when_it_was_sent(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    send(app, notification)
    at = clock.now
    clock.advance(seconds=7)
    assert app.receipt_recorder.record([said(notification, "delivered")]) == Recorded(new=1, moved=1)
    assert row(hospital, notification) == ("delivered", None, None)
    assert hospital.query("SELECT finished_at FROM notifications") == [(at,)]


def test_a_receipt_that_comes_again_does_nothing(app: App, hospital: Hospital, notification: UUID) -> None:
    send(app, notification)
    app.receipt_recorder.record([said(notification, "delivered")] * 2)
    assert app.receipt_recorder.record([said(notification, "delivered")]) == Recorded()
    assert hospital.query("SELECT count(*) FROM receipts") == [(1,)]


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["delivered", "sent"], "delivered"),
        (["undelivered", "sent"], "failed"),
        (["undelivered", "delivered"], "delivered"),
        (["delivered", "undelivered"], "delivered"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_disorder_does_no_harm(
    app: App, hospital: Hospital, notification: UUID, words: list[str], end: str, at_once: bool
) -> None:
    send(app, notification)
    receipts = [said(notification, word) for word in words]
    for batch in [receipts] if at_once else [[one] for one in receipts]:
        app.receipt_recorder.record(batch)
    assert row(hospital, notification)[0] == end


def test_a_receipt_before_our_own_commit_waits_for_it(app: App, hospital: Hospital, notification: UUID) -> None:
    claimed = claim(app, notification)
    outcome = app.deliverer.send(claimed)
    assert app.receipt_recorder.record([said(notification, "delivered")]) == Recorded(new=1, waiting=1)
    assert app.receipt_recorder.apply_waiting() == Recorded()
    assert row(hospital, notification)[0] == "sending"

    app.deliverer.record([outcome])
    assert app.receipt_recorder.apply_waiting().moved == 1
    assert row(hospital, notification)[0] == "delivered"
    assert waiting(hospital) == 0


def test_a_receipt_of_an_unknown_notification_waits_and_is_let_go_in_the_end(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    app.receipt_recorder.record([said(uuid4(), "delivered")])
    clock.advance(days=app.settings.receipt_days, seconds=-1)
    assert app.receipt_recorder.apply_waiting() == Recorded()
    assert app.receipt_recorder.forget_unknown() == 0
    clock.advance(seconds=1)
    assert app.receipt_recorder.forget_unknown() == 1
    assert waiting(hospital) == 0


def test_an_old_receipt_of_a_known_notification_is_not_let_go(app: App, clock: SetClock, notification: UUID) -> None:
    claim(app, notification)
    app.receipt_recorder.record([said(notification, "delivered")])
    clock.advance(days=30)
    assert app.receipt_recorder.forget_unknown() == 0


@pytest.mark.parametrize("word", ["queued", "sent", "delivered"])
def test_a_message_whose_answer_was_cut_is_not_sent_again_once_a_receipt_proves_it(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID, word: str
) -> None:
    cut(app)
    send(app, notification)
    assert row(hospital, notification)[0] == "pending"
    app.receipt_recorder.record([said(notification, word, address=MOBILE)])
    assert row(hospital, notification)[0] == ("delivered" if word == "delivered" else "sent")

    clock.advance(minutes=5)
    with app.database.transaction() as transaction:
        lease = clock.now + timedelta(seconds=30)
        due = outbox.lease_due(transaction, lane=Lane.LOW, now=clock.now, lease=lease, limit=10)
    assert due == []
    assert app.deliverer.claim([notification])[0] == []
    assert hospital.query("SELECT sent_to FROM notifications") == [(app.sealer.index(MOBILE),)]


def test_what_a_killed_worker_had_sent_is_not_sent_again_once_a_receipt_proves_it(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    claimed = claim(app, notification)
    app.receipt_recorder.record([said(notification, "sent")])
    clock.now = claimed.claimed_until + GRACE
    with app.database.transaction() as transaction:
        results.settle(transaction, now=clock.now, claimed_before=clock.now - GRACE, attempts_allowed=6)
    assert row(hospital, notification)[0] == "pending"
    app.receipt_recorder.apply_waiting()
    assert row(hospital, notification)[0] == "sent"
    assert app.deliverer.claim([notification])[0] == []


def test_the_relay_holds_receipts_against_what_it_settles_before_anybody_can_publish_it(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    claimed = claim(app, notification)
    app.receipt_recorder.record([said(notification, "delivered")])
    clock.now = claimed.claimed_until + GRACE
    published: list[str] = []

    def publish_due(_: Lane) -> Published:
        published.append(row(hospital, notification)[0])
        return Published()

    relay = replace(app.relay, due_publisher=SimpleNamespace(publish_due=publish_due))  # type: ignore[arg-type]
    assert relay.sweep().settled == 1
    assert set(published) == {"delivered"}


def test_what_was_never_tried_is_sent_whatever_a_receipt_says(app: App, hospital: Hospital, notification: UUID) -> None:
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification)[0] == "pending"
    assert waiting(hospital) == 0
    send(app, notification)
    assert row(hospital, notification)[0] == "sent"


@pytest.mark.parametrize(
    ("code", "end", "why", "list_of"),
    [
        ("30003", "failed", "carrier", set()),
        ("30005", "failed", "address_rejected", {("mobile", "rejected")}),
        ("21610", "unsubscribed", "opted_out", {("mobile", "opted_out")}),
    ],
)
@pytest.mark.parametrize("address", [MOBILE, None], ids=["the receipt names the address", "our row knows it"])
def test_a_code_ends_a_message_and_sometimes_its_address(
    app: App,
    hospital: Hospital,
    notification: UUID,
    code: str,
    end: str,
    why: str,
    list_of: set[tuple[str, str]],
    address: str | None,
) -> None:
    send(app, notification)
    app.receipt_recorder.record([said(notification, "undelivered", code, address=address)])
    assert row(hospital, notification) == (end, why, code)
    assert suppressed(app, hospital) == list_of


def test_an_earlier_attempts_receipt_never_suppresses_where_a_later_one_went(
    app: App, hospital: Hospital, notification: UUID
) -> None:
    send(app, notification)
    receipt = receipt_of(notification, "SM-of-an-earlier-attempt", word="undelivered", code="30005")
    app.receipt_recorder.record([receipt])
    assert suppressed(app, hospital) == set()


def test_an_address_that_is_dead_is_suppressed_before_its_message_is_recorded(
    app: App, hospital: Hospital, notification: UUID
) -> None:
    claim(app, notification)
    app.receipt_recorder.record([said(notification, "failed", "30005", address=MOBILE)])
    assert row(hospital, notification)[0] == "sending"
    assert suppressed(app, hospital) == {("mobile", "rejected")}


def dead_letters(hospital: Hospital) -> list[tuple[Any, ...]]:
    return hospital.query("SELECT reason, code, resolution, resolved_by FROM dead_letters ORDER BY id")


def test_what_the_carrier_gave_up_is_a_dead_letter_until_it_turns_out_delivered(
    app: App, hospital: Hospital, notification: UUID
) -> None:
    send(app, notification)
    app.receipt_recorder.record([said(notification, "undelivered", "30003")])
    assert dead_letters(hospital) == [("carrier", "30003", None, None)]
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification) == ("delivered", None, None)
    assert dead_letters(hospital) == [("carrier", "30003", "delivered", "receipt")]


def test_what_we_gave_up_may_have_been_delivered(app: App, hospital: Hospital, notification: UUID) -> None:
    hospital.query("UPDATE notifications SET attempts = 5 RETURNING 1")
    cut(app)
    send(app, notification)
    assert row(hospital, notification)[:2] == ("failed", "retries_spent")
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification) == ("delivered", None, None)
    assert [letter[3] for letter in dead_letters(hospital)] == ["receipt"]


def test_a_failure_of_an_earlier_attempt_does_not_fail_what_a_later_one_delivers(
    app: App, hospital: Hospital, notification: UUID
) -> None:
    send(app, notification)
    app.receipt_recorder.record([receipt_of(notification, "SM-first", word="undelivered", code="30003")])
    assert row(hospital, notification)[0] == "sent"
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification)[0] == "delivered"
    assert dead_letters(hospital) == []


def test_what_ran_out_of_time_after_a_cut_call_hears_its_receipt_and_is_not_told_again(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    cut(app)
    send(app, notification)
    hospital.query("UPDATE notifications SET expires_at = due_at RETURNING 1")
    clock.advance(seconds=5)
    with app.database.transaction() as transaction:
        assert outbox.expire(transaction, now=clock.now) == 1
    clock.now += timedelta(days=1, hours=-2)
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 0
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification) == ("delivered", None, None)
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 0


def test_what_ran_out_of_time_and_surely_reached_nobody_is_told_the_next_day(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    clock.now += timedelta(days=1, hours=-2)
    with app.database.transaction() as transaction:
        assert outbox.expire(transaction, now=clock.now) == 1
    assert app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 1


def test_a_receipt_that_has_waited_long_is_applied_when_claims_are_settled_and_now_and_then(
    app: App, hospital: Hospital, clock: SetClock, notification: UUID
) -> None:
    outcome = app.deliverer.send(claim(app, notification))
    app.receipt_recorder.record([said(notification, "delivered")])
    app.deliverer.record([outcome])
    clock.advance(minutes=15)
    assert app.receipt_recorder.apply_waiting() == Recorded()
    app.receipt_recorder.forget_unknown()
    assert row(hospital, notification)[0] == "delivered"


@pytest.mark.parametrize("status", ["superseded", "cancelled", "suppressed"])
def test_what_was_stopped_keeps_its_status_and_its_receipt(
    app: App, hospital: Hospital, notification: UUID, status: str
) -> None:
    hospital.query("UPDATE notifications SET status = %s, attempts = 1 RETURNING 1", status)
    app.receipt_recorder.record([said(notification, "delivered")])
    assert row(hospital, notification)[0] == status
    assert hospital.query("SELECT status FROM receipts WHERE applied_at IS NOT NULL") == [("delivered",)]


def test_the_same_receipts_from_many_processes_at_once_are_recorded_once(
    app: App, hospital: Hospital, clock: SetClock
) -> None:
    for number in range(20):
        hospital.add_patient(f"p{number}", phone=f"+4915112345{number:03}", mail=None)
        hospital.add_appointment(f"a{number}", f"p{number}")
    app.reminder_planner.plan(TODAY)
    ids = [identity for (identity,) in hospital.query("SELECT id FROM notifications")]
    app.deliverer.record([app.deliverer.send(one) for one in app.deliverer.claim(ids)[0]])
    receipts = [said(identity, word) for identity in ids for word in ("sent", "delivered")]

    def tell(number: int) -> Sequence[Recorded]:
        turned = receipts[number:] + receipts[:number]
        return [app.receipt_recorder.record([one]) for one in turned] + [app.receipt_recorder.apply_waiting()]

    with ThreadPoolExecutor(6) as processes:
        told = [one for each in processes.map(tell, range(0, 36, 6)) for one in each]
    assert sum(one.new for one in told) == 40
    assert hospital.statuses() == {"delivered": 20}
