"""Chains of fallbacks on real PostgreSQL, each message sent by the deliverer to a provider that does as it is told."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from carenotify.app import App, build_app
from carenotify.channels.base import OutgoingMessage
from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.event import ChangeEvent, EventType
from carenotify.domain.kinds import MESSAGE, MessageData
from carenotify.domain.notification import Channel, Status
from carenotify.domain.patient import ContactPoint, Patient
from carenotify.domain.receipt import Meaning, Receipt
from carenotify.errors import (
    AddressRejectedError,
    DeadAddressError,
    DecryptionError,
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    OptedOutError,
    TemporaryDeliveryError,
    ThrottledError,
)
from carenotify.journeys import fall_back
from carenotify.journeys.fall_back import FollowedUp
from carenotify.journeys.report_delivery import report_delivery
from carenotify.journeys.request_notification import Wish
from carenotify.storage import outbox, receipts, reminders
from carenotify.storage.patients import address_indexes, seal_contact
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, ScriptedProvider, SetClock, make_unreadable

TODAY = date(2026, 11, 24)
SECOND = "+4915112345679"
SMS, EMAIL = Channel.SMS, Channel.EMAIL
TWO_NUMBERS = (
    ContactPoint("phone", MOBILE, use="mobile", rank=1, textable=True),
    ContactPoint("phone", SECOND, use="work", rank=2, textable=True),
)
NOTHING = FollowedUp()


class Desk:
    """Plans, delivers what is due, and says what people got."""

    def __init__(self, app: App, hospital: Hospital) -> None:
        self.app = app
        self.hospital = hospital
        self.sms: ScriptedProvider = app.providers[SMS][0]  # type: ignore[assignment]
        self.email: ScriptedProvider = app.providers[EMAIL][0]  # type: ignore[assignment]
        self.refusals: dict[str, DeliveryError] = {}
        self.tried: list[str] = []
        for provider in (self.sms, self.email):
            provider.script = self.answer

    def answer(self, message: OutgoingMessage) -> DeliveryError | None:
        self.tried.append(message.to)
        return self.refusals.get(message.to)

    def start_over(self) -> None:
        with self.app.database.transaction() as transaction:
            transaction.execute("TRUNCATE patients, appointments, preferences, notifications, suppressions CASCADE")
        self.refusals.clear()
        for taken in (self.tried, self.sms.taken, self.email.taken):
            taken.clear()

    def plan(self, **wishes: Any) -> None:
        if wishes:
            self.hospital.set_preferences(**wishes)
        self.app.reminder_planner.plan(TODAY)

    def deliver(self) -> None:
        due = self.hospital.query(
            "SELECT id FROM notifications WHERE status IN ('pending', 'queued') AND due_at <= %s ORDER BY id",
            self.app.clock(),
        )
        claims, _ = self.app.deliverer.claim([row[0] for row in due])
        if claims:
            self.app.deliverer.record([self.app.deliverer.send(claim) for claim in claims])

    def deliver_and_sweep(self) -> FollowedUp:
        self.deliver()
        return self.app.fallback_sweeper.sweep()

    def to_the_end(self) -> None:
        while self.deliver_and_sweep().followed:
            pass

    @property
    def got(self) -> list[str]:
        messages: list[OutgoingMessage] = [*self.sms.taken, *self.email.taken]
        return [message.to for message in messages]

    def rows(self) -> list[tuple[Any, ...]]:
        return self.hospital.query(
            "SELECT channel, status, reason, fallback_of IS NOT NULL FROM notifications ORDER BY id"
        )

    def count(self) -> int:
        return int(self.hospital.query("SELECT count(*) FROM notifications")[0][0])


@pytest.fixture
def desk(app: App, hospital: Hospital) -> Desk:
    return Desk(app, hospital)


@pytest.fixture
def anna(hospital: Hospital) -> Hospital:
    """Anna has two numbers and a mail address, and wants SMS."""
    hospital.add_patient(contacts=[*TWO_NUMBERS, ContactPoint("email", MAIL)])
    hospital.add_appointment()
    hospital.set_preferences(channels=["sms"])
    return hospital


# --- the chain ---------------------------------------------------------------------------------


def test_a_rejected_number_leads_to_the_second_one(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    assert desk.deliver_and_sweep() == FollowedUp(Counter(sms=1), Counter())
    desk.to_the_end()
    assert desk.got == [SECOND]
    assert desk.rows() == [("sms", "failed", "address_rejected", False), ("sms", "sent", None, True)]


def test_when_both_numbers_fail_mail_is_next_and_then_nothing(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {
        MOBILE: DeadAddressError("21211"),
        SECOND: AddressRejectedError("30004"),
        MAIL: AddressRejectedError("552 5.2.2"),
    }
    desk.plan()
    desk.to_the_end()
    assert desk.got == []
    assert desk.rows() == [
        ("sms", "failed", "address_rejected", False),
        ("sms", "failed", "address_rejected", True),
        ("email", "failed", "address_rejected", True),
    ]
    keys = [row[0] for row in anna.query("SELECT dedup_key FROM notifications ORDER BY id")]
    assert keys == [f"reminder:anna:2026-11-27:sms:1{step}" for step in ("", "+1", "+2")]
    [(tried,)] = anna.query("SELECT tried_addresses FROM notifications WHERE channel = 'email'")
    assert set(tried) == {desk.app.sealer.index(MOBILE), desk.app.sealer.index(SECOND)}


def test_a_fallback_tells_the_same_thing_until_the_same_moment_at_once(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    anna.query("UPDATE preferences SET language = 'de' RETURNING 1")
    desk.plan()
    clock.advance(minutes=3)
    desk.deliver_and_sweep()
    same = "kind, lane, patient_id, expires_at, sealed_data"
    [first, second] = anna.query(f"SELECT {same} FROM notifications ORDER BY id")
    assert first == second
    linked = anna.query("SELECT appointment_id, content_hash, count(*) FROM notification_appointments GROUP BY 1, 2")
    assert [row[2] for row in linked] == [2]
    [(due_at, created_at, code, channel, language)] = anna.query(
        "SELECT due_at, n.created_at, v.code, v.channel, v.language FROM notifications n"
        " JOIN template_versions v ON v.id = template_version_id WHERE fallback_of IS NOT NULL"
    )
    assert (due_at, created_at) == (clock.now, clock.now)
    assert (code, channel, language) == ("reminder", "email", "de")
    desk.deliver()
    assert desk.got == [MAIL]


def test_a_message_that_was_refused_itself_goes_to_the_other_channel_and_not_to_the_second_number(
    desk: Desk, anna: Hospital
) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.to_the_end()
    assert desk.got == [MAIL]


def test_a_number_that_said_stop_leads_to_mail_and_not_to_another_number(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: OptedOutError("21610")}
    desk.plan()
    desk.to_the_end()
    assert desk.got == [MAIL]
    assert desk.rows()[0][:3] == ("sms", "unsubscribed", "opted_out")


def test_a_mail_that_bounces_leads_to_an_sms(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    desk.plan(channels=["email"])
    desk.to_the_end()
    hospital.query("UPDATE notifications SET status = 'bounced', reason = 'bounced' RETURNING 1")
    desk.to_the_end()
    assert desk.got == [MOBILE, MAIL]
    assert desk.rows() == [("email", "bounced", "bounced", False), ("sms", "sent", None, True)]


def test_a_receipt_that_says_failed_leads_to_the_second_number(desk: Desk, anna: Hospital) -> None:
    desk.plan()
    desk.to_the_end()
    anna.query("UPDATE notifications SET status = 'failed', reason = 'carrier' RETURNING 1")
    desk.to_the_end()
    assert desk.got == [MOBILE, SECOND]


def test_what_a_lost_worker_may_have_sent_is_not_sent_to_the_same_number_again(desk: Desk, anna: Hospital) -> None:
    desk.plan()
    anna.query("UPDATE notifications SET status = 'failed', reason = 'worker_lost', finished_at = now() RETURNING 1")
    desk.to_the_end()
    assert desk.got == [SECOND]


def test_a_messages_dead_letter_is_closed_by_its_fallback_and_the_fallbacks_own_is_open(
    desk: Desk, anna: Hospital
) -> None:
    desk.refusals = {
        MOBILE: DeadAddressError("21211"),
        SECOND: DeadAddressError("21211"),
        MAIL: DeadAddressError("550"),
    }
    desk.plan()
    desk.deliver()
    assert anna.query("SELECT resolution FROM dead_letters ORDER BY id") == [(None,)]
    desk.to_the_end()
    assert anna.query("SELECT resolution, resolved_at IS NULL FROM dead_letters ORDER BY id") == [
        ("fallback", False),
        ("fallback", False),
        (None, True),
    ]


def letters(hospital: Hospital) -> list[tuple[Any, ...]]:
    """Of each open dead letter: its reason, and the channel and status of its notification."""
    return hospital.query(
        "SELECT d.reason, n.channel, n.status FROM dead_letters d JOIN notifications n ON n.id = d.notification_id"
        " WHERE d.resolved_at IS NULL ORDER BY d.id"
    )


def expire(desk: Desk) -> None:
    desk.app.clock.advance(hours=4)  # type: ignore[attr-defined]
    with desk.app.database.transaction() as transaction:
        outbox.expire(transaction, now=desk.app.clock())


def test_a_chain_whose_last_one_runs_out_of_time_has_a_dead_letter_once(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.deliver_and_sweep()
    assert letters(anna) == []
    expire(desk)
    desk.app.fallback_sweeper.sweep()
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    assert letters(anna) == [("window_closed", "email", "expired")]


def test_so_has_one_whose_last_one_bounces_or_finds_no_address(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.to_the_end()
    suppress_the_mail(desk)
    anna.query("UPDATE notifications SET status = 'bounced', reason = 'bounced' WHERE channel = 'email' RETURNING 1")
    desk.to_the_end()
    assert letters(anna) == [("bounced", "email", "bounced")]


def test_so_has_one_that_was_left_to_another_message_which_then_runs_out_of_time(desk: Desk, on_both: Hospital) -> None:
    desk.refusals = {MAIL: DeadAddressError("550 5.1.1")}
    desk.plan()
    on_both.query("UPDATE notifications SET due_at = due_at + interval '1 hour' WHERE channel = 'sms' RETURNING 1")
    assert desk.deliver_and_sweep().left == Counter(told_otherwise=1)
    assert letters(on_both) == []
    expire(desk)
    desk.app.fallback_sweeper.sweep()
    assert letters(on_both) == [("window_closed", "sms", "expired")]


def test_whoever_was_told_in_another_way_or_died_has_none(desk: Desk, on_both: Hospital) -> None:
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    desk.to_the_end()
    expire(desk)
    desk.to_the_end()
    assert desk.got == [MAIL]
    assert letters(on_both) == []


def test_whoever_died_before_the_fallback_went_out_has_none(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.deliver_and_sweep()
    die(desk)
    desk.to_the_end()
    assert desk.rows()[-1] == ("email", "suppressed", "deceased", True)
    assert letters(anna) == []


def test_what_only_ran_out_of_time_is_counted_and_no_dead_letter(desk: Desk, anna: Hospital) -> None:
    desk.plan()
    expire(desk)
    desk.to_the_end()
    assert letters(anna) == []


# --- who is left in peace ----------------------------------------------------------------------


def opt_out_of_mail(desk: Desk) -> None:
    desk.hospital.query("UPDATE preferences SET opted_out_channels = '{email}' RETURNING 1")


def opt_out_of_reminders(desk: Desk) -> None:
    desk.hospital.query("UPDATE preferences SET opted_out_kinds = '{reminder}' RETURNING 1")


def die(desk: Desk) -> None:
    desk.hospital.query("UPDATE patients SET deceased = true RETURNING 1")


def move_the_appointment(desk: Desk) -> None:
    desk.hospital.add_appointment(start=NOON + timedelta(days=3, hours=4))


def cancel_the_appointment(desk: Desk) -> None:
    desk.hospital.add_appointment(status="cancelled")


def close_the_window(desk: Desk) -> None:
    desk.app.clock.advance(hours=4)  # type: ignore[attr-defined]


def suppress_the_mail(desk: Desk) -> None:
    index = desk.app.sealer.index(MAIL)
    desk.hospital.query("INSERT INTO suppressions (address_index, reason) VALUES (%s, 'complaint') RETURNING 1", index)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (opt_out_of_mail, "opted_out"),
        (opt_out_of_reminders, "opted_out"),
        (die, "deceased"),
        (move_the_appointment, "appointment_changed"),
        (cancel_the_appointment, "appointment_changed"),
        (close_the_window, "window_closed"),
        (suppress_the_mail, "no_other_address"),
    ],
)
def test_nothing_follows(desk: Desk, anna: Hospital, happens: Callable[[Desk], None], reason: str) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.deliver()
    happens(desk)
    sweeper = desk.app.fallback_sweeper
    assert sweeper.sweep() == FollowedUp(Counter(), Counter({reason: 1}))
    assert sweeper.sweep() == NOTHING, "it is decided about once"
    assert anna.query("SELECT followed_up_at FROM notifications") == [(desk.app.clock(),)]


def test_a_shared_number_that_is_suppressed_is_left_out_for_everybody_who_shares_it(
    desk: Desk, hospital: Hospital
) -> None:
    """Berta's first number is dead; Carl has it as his second, and is mailed when his own fails."""
    hospital.add_patient("berta", phone=MOBILE, mail=None)
    shared = ContactPoint("phone", MOBILE, use="home", rank=2, textable=True)
    own = ContactPoint("phone", SECOND, use="mobile", rank=1, textable=True)
    hospital.add_patient("carl", contacts=[own, shared, ContactPoint("email", MAIL)])
    for patient in ("berta", "carl"):
        hospital.add_appointment(f"of-{patient}", patient)
        hospital.set_preferences(patient, channels=["sms"])
    desk.refusals = {MOBILE: DeadAddressError("21211"), SECOND: DeadAddressError("21211")}
    desk.plan()
    desk.to_the_end()
    assert desk.got == [MAIL]
    suppressed = hospital.query("SELECT reason, count(*) FROM suppressions GROUP BY reason")
    assert suppressed == [("rejected", 2)]


def test_a_number_that_is_full_or_blocked_today_is_not_suppressed(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: AddressRejectedError("30004")}
    desk.plan()
    desk.to_the_end()
    assert desk.got == [SECOND]
    assert anna.query("SELECT count(*) FROM suppressions") == [(0,)]


def test_a_number_that_died_between_plan_and_send_leads_to_mail(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient()
    hospital.add_appointment()
    desk.plan(channels=["sms"])
    index = desk.app.sealer.index(MOBILE)
    hospital.query("INSERT INTO suppressions (address_index, reason) VALUES (%s, 'rejected') RETURNING 1", index)
    desk.to_the_end()
    assert desk.got == [MAIL]
    assert desk.rows()[0][:3] == ("sms", "suppressed", "no_usable_address")


# --- whoever is told on both -------------------------------------------------------------------


@pytest.fixture
def on_both(hospital: Hospital) -> Hospital:
    """Anna has one number and one mail address, and is told on both."""
    hospital.add_patient()
    hospital.add_appointment()
    return hospital


def test_whoever_got_the_mail_needs_no_second_one_when_the_sms_fails(desk: Desk, on_both: Hospital) -> None:
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    desk.deliver()
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(), Counter(told_otherwise=1))
    assert desk.got == [MAIL]
    letters = on_both.query("SELECT resolution FROM dead_letters")
    assert letters == [("told_otherwise",)], "nobody has to look at it"


@pytest.mark.parametrize("status", ["pending", "queued", "sending"])
def test_a_mail_that_is_on_its_way_is_waited_for_and_followed_up_when_it_fails(
    desk: Desk, on_both: Hospital, status: str
) -> None:
    desk.plan()
    on_both.query(
        "UPDATE notifications SET status = 'failed', reason = 'address_rejected', finished_at = now()"
        " WHERE channel = 'sms' RETURNING 1"
    )
    on_both.query("UPDATE notifications SET status = %s WHERE channel = 'email' RETURNING 1", status)
    assert desk.app.fallback_sweeper.sweep().left == Counter(told_otherwise=1)
    on_both.query(
        "UPDATE notifications SET status = 'failed', reason = 'address_rejected', finished_at = now(), sent_to = %s"
        " WHERE channel = 'email' RETURNING 1",
        desk.app.sealer.index(MAIL),
    )
    assert desk.app.fallback_sweeper.sweep().followed == Counter(sms=1), "nothing is known of where the SMS went"


def test_when_both_fail_neither_address_is_tried_twice(desk: Desk, on_both: Hospital) -> None:
    desk.refusals = {MOBILE: AddressRejectedError("30004"), MAIL: AddressRejectedError("552 5.2.2")}
    desk.plan()
    assert desk.deliver_and_sweep() == FollowedUp(Counter(), Counter(no_other_address=2))
    assert desk.count() == 2


def test_when_both_fail_at_once_the_one_address_that_is_left_is_used_once(desk: Desk, hospital: Hospital) -> None:
    other = ContactPoint("email", "other@example.org", rank=2)
    hospital.add_patient(contacts=[TWO_NUMBERS[0], ContactPoint("email", MAIL, rank=1), other])
    hospital.add_appointment()
    desk.refusals = {MOBILE: AddressRejectedError("30004"), MAIL: AddressRejectedError("552 5.2.2")}
    desk.plan()
    desk.deliver()
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=1), Counter(told_otherwise=1))
    desk.to_the_end()
    assert desk.got == [other.value]
    assert desk.count() == 3


def test_a_reminder_of_another_appointment_of_that_day_tells_nothing_of_this_one(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: MessageRejectedError("30007")}
    desk.plan()
    desk.deliver()
    anna.add_appointment("a2", start=NOON + timedelta(days=3, hours=5))
    desk.plan()
    assert desk.app.fallback_sweeper.sweep().followed == Counter(email=1)


def test_a_fuller_reminder_of_that_day_tells_it_as_well(desk: Desk, anna: Hospital) -> None:
    desk.plan()
    anna.query("UPDATE notifications SET status = 'failed', reason = 'retries_spent', finished_at = now() RETURNING 1")
    anna.add_appointment("a2", start=NOON + timedelta(days=3, hours=5))
    desk.plan()
    assert desk.app.fallback_sweeper.sweep().left == Counter(told_otherwise=1)


# --- once --------------------------------------------------------------------------------------


def test_two_sweeps_at_once_insert_once(app: App, desk: Desk, hospital: Hospital) -> None:
    for number in range(40):
        hospital.add_patient(f"p{number}", phone=f"+49151100000{number:02d}", mail=f"p{number}@example.org")
        hospital.add_appointment(f"a{number}", f"p{number}")
    desk.plan()
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'wording', finished_at = now() RETURNING 1")
    hospital.query("DELETE FROM notifications WHERE channel = 'email' RETURNING 1")
    others = [build_app(app.settings, clock=app.clock) for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        sweeps = [pool.submit(one.fallback_sweeper.sweep) for one in (app, *others) for _ in range(5)]
        followed = sum((sweep.result() for sweep in sweeps), start=NOTHING)
    for other in others:
        other.close()
    assert followed == FollowedUp(Counter(email=40), Counter())
    assert hospital.query("SELECT channel, count(*) FROM notifications GROUP BY 1 ORDER BY 1") == [
        ("email", 40),
        ("sms", 40),
    ]


def test_while_a_plan_is_made_nothing_is_decided(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    desk.deliver()
    with desk.app.database.transaction() as transaction:
        reminders.take_turns(transaction)
        assert desk.app.fallback_sweeper.sweep() == NOTHING
    assert desk.app.fallback_sweeper.sweep().followed == Counter(sms=1)


def test_what_is_replayed_and_fails_again_has_its_fallback_already(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: AddressRejectedError("30004"), SECOND: AddressRejectedError("30004")}
    desk.plan()
    desk.deliver_and_sweep()
    desk.deliver()
    anna.query("UPDATE notifications SET status = 'pending' WHERE fallback_of IS NULL RETURNING 1")
    desk.to_the_end()
    assert desk.rows().count(("sms", "failed", "address_rejected", True)) == 1
    assert desk.got == [MAIL]


# --- where nobody sends ------------------------------------------------------------------------


def test_where_nobody_sends_mail_a_failed_sms_stays_in_the_list(desk: Desk, hospital: Hospital) -> None:
    object.__setattr__(desk.app.settings, "default_channels", (SMS,))
    hospital.add_patient()
    hospital.add_appointment()
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    assert desk.deliver_and_sweep() == FollowedUp(Counter(), Counter(no_other_address=1))
    assert hospital.query("SELECT reason, resolution FROM dead_letters") == [("address_rejected", None)]


def test_a_message_that_a_caller_wanted_by_mail_is_not_texted(desk: Desk, anna: Hospital) -> None:
    data = MessageData(subject="Results", text="Please call us.")
    wish = Wish(kind=MESSAGE, patient_id="anna", data=data, channels=(EMAIL,), due_at=None, lane=None)
    desk.app.notification_requester.request(wish, caller="k", key="1", body={})
    desk.refusals = {MAIL: DeadAddressError("550 5.1.1")}
    desk.to_the_end()
    assert desk.got == []
    assert desk.rows() == [("email", "failed", "address_rejected", False)]


# --- the next plan -----------------------------------------------------------------------------


def test_whom_a_fallback_told_the_next_plan_leaves_alone(desk: Desk, anna: Hospital, clock: SetClock) -> None:
    desk.refusals = {MOBILE: AddressRejectedError("30004")}
    desk.plan()
    desk.to_the_end()
    clock.advance(days=1)
    assert desk.app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 0


def test_whose_chain_failed_the_next_plan_tries_again_with_what_is_left(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.refusals = {
        MOBILE: DeadAddressError("21211"),
        SECOND: MessageRejectedError("30007"),
        MAIL: AddressRejectedError("552 5.2.2"),
    }
    desk.plan()
    desk.to_the_end()
    assert desk.got == []
    clock.advance(days=1)
    desk.refusals = {}
    assert desk.app.reminder_planner.plan(TODAY + timedelta(days=1)).planned == 1
    desk.to_the_end()
    assert desk.got == [SECOND], "the first number is dead"


# --- no receipt --------------------------------------------------------------------------------


def waits_for_receipts(app: App, minutes: int) -> None:
    object.__setattr__(app.settings, "fallback_without_receipt_minutes", minutes)


def ask(hospital: Hospital, clock: SetClock) -> None:
    """The provider was asked, and knew nothing."""
    hospital.query("UPDATE notifications SET looked_up_at = %s WHERE status = 'sent' RETURNING 1", clock.now)


@pytest.mark.parametrize(("fallback", "after"), [(0, 60), (30, 30), (90, 60)])
def test_a_provider_is_asked_before_its_silence_counts(app: App, fallback: int, after: int) -> None:
    waits_for_receipts(app, fallback)
    assert app.receipt_look_up.after == timedelta(minutes=after)


def test_without_a_receipt_nothing_follows_unless_it_is_asked_for(desk: Desk, anna: Hospital, clock: SetClock) -> None:
    desk.plan()
    desk.deliver()
    clock.advance(minutes=60)
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    waits_for_receipts(desk.app, 61)
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    waits_for_receipts(desk.app, 60)
    assert desk.app.fallback_sweeper.sweep() == NOTHING, "the provider was not asked yet"
    ask(anna, clock)
    clock.advance(seconds=59)
    assert desk.app.fallback_sweeper.sweep() == NOTHING, "it may be answering"
    clock.advance(seconds=1)
    assert desk.app.fallback_sweeper.sweep().followed == Counter(sms=1)
    assert desk.rows() == [("sms", "sent", None, False), ("sms", "pending", None, True)]


def test_a_receipt_in_time_is_enough_and_mails_over_smtp_never_have_one(
    desk: Desk, on_both: Hospital, clock: SetClock
) -> None:
    waits_for_receipts(desk.app, 30)
    desk.plan()
    desk.deliver()
    on_both.query("UPDATE notifications SET status = 'delivered' WHERE channel = 'sms' RETURNING 1")
    clock.advance(minutes=40)
    assert desk.app.fallback_sweeper.sweep() == NOTHING


def test_what_had_nothing_to_follow_while_it_was_silent_is_decided_anew_when_a_receipt_says_that_it_failed(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    index = desk.app.sealer.index(SECOND)
    anna.query("INSERT INTO suppressions VALUES (%s, 'opted_out'), (%s, 'bounced') RETURNING 1", index, index)
    anna.query("UPDATE preferences SET opted_out_channels = '{email}' RETURNING 1")
    waits_for_receipts(desk.app, 30)
    desk.plan()
    desk.deliver()
    clock.advance(minutes=29)
    ask(anna, clock)
    clock.advance(minutes=1)
    assert desk.app.fallback_sweeper.sweep().left == Counter(opted_out=1)
    anna.query("UPDATE preferences SET opted_out_channels = '{}' RETURNING 1")
    [(identity,)] = anna.query("SELECT id FROM notifications")
    undelivered = Receipt(identity, "twilio", "SM1", "undelivered", "30003", Meaning(Status.FAILED, "carrier"))
    with desk.app.database.transaction() as transaction:
        receipts.move(transaction, [undelivered], sealer=desk.app.sealer, now=clock.now)
    assert desk.app.fallback_sweeper.sweep().followed == Counter(email=1)


# --- providers that are down -------------------------------------------------------------------


def break_down(hospital: Hospital, *providers: str, state: str = "open") -> None:
    for provider in providers:
        hospital.query(
            "INSERT INTO provider_states (provider, state, changed_at) VALUES (%s, %s, now())"
            " ON CONFLICT (provider) DO UPDATE SET state = excluded.state RETURNING 1",
            provider,
            state,
        )


def test_shortly_before_the_window_closes_what_waits_for_a_dead_provider_goes_another_way(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.plan()
    break_down(anna, "twilio")
    clock.advance(minutes=119)  # 11:29
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    clock.advance(minutes=1)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=1), Counter())
    assert desk.rows() == [("sms", "failed", "provider_down", False), ("email", "pending", None, True)]
    desk.to_the_end()
    assert desk.got == [MAIL]
    assert anna.query("SELECT tried_addresses FROM notifications WHERE channel = 'email'") == [([],)]


@pytest.mark.parametrize("state", ["closed", "half_open"])
def test_a_provider_that_is_well_or_tried_out_is_waited_for(
    desk: Desk, anna: Hospital, clock: SetClock, state: str
) -> None:
    desk.plan()
    break_down(anna, "twilio", state=state)
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == NOTHING


def test_whoever_has_no_other_channel_goes_on_waiting_and_is_told_when_the_provider_is_back(
    desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    desk.plan()
    break_down(hospital, "twilio")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(), Counter(no_other_address=1))
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    assert desk.rows() == [("sms", "pending", None, False)]
    break_down(hospital, "twilio", state="closed")
    desk.deliver()
    assert desk.got == [MOBILE]


def test_what_went_on_waiting_and_then_failed_is_followed_up_all_the_same(
    desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    hospital.add_patient(contacts=TWO_NUMBERS)
    hospital.add_appointment()
    desk.refusals = {MOBILE: AddressRejectedError("30004")}
    desk.plan()
    break_down(hospital, "twilio")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep().left == Counter(no_other_address=1)
    break_down(hospital, "twilio", state="closed")
    desk.to_the_end()
    assert desk.got == [SECOND]


def test_when_the_other_channel_is_down_too_everything_waits(desk: Desk, anna: Hospital, clock: SetClock) -> None:
    desk.plan()
    break_down(anna, "twilio", "smtp")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(), Counter(providers_down=1))
    assert desk.rows() == [("sms", "pending", None, False)]


def test_when_the_other_channel_comes_back_first_it_is_used_half_a_minute_later(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.plan()
    break_down(anna, "twilio", "smtp")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep().left == Counter(providers_down=1)
    break_down(anna, "smtp", state="closed")
    clock.advance(seconds=29)
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    clock.advance(seconds=1)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=1), Counter())
    desk.to_the_end()
    assert desk.got == [MAIL]


def test_what_waits_beside_a_mail_takes_its_place_when_the_mail_fails(
    desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    """Told on both: the SMS waits for a dead provider, relying on a mail that fails only later."""
    other = ContactPoint("email", "other@example.org", rank=2)
    hospital.add_patient(contacts=[TWO_NUMBERS[0], ContactPoint("email", MAIL, rank=1), other])
    hospital.add_appointment()
    desk.plan()
    break_down(hospital, "twilio")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep().left == Counter(told_otherwise=1)
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = 'address_rejected', finished_at = %s, sent_to = %s,"
        " followed_up_at = %s WHERE channel = 'email' RETURNING 1",
        *(clock.now, desk.app.sealer.index(MAIL), clock.now),
    )
    clock.advance(seconds=30)
    assert desk.app.fallback_sweeper.sweep().followed == Counter(email=1)


def test_a_channel_that_was_only_down_is_used_again_when_the_other_one_has_failed(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    """The first number was tried during the outage, and said nothing of itself: it is not spent."""
    desk.refusals = {MOBILE: TemporaryDeliveryError("503"), MAIL: DeadAddressError("550 5.1.1")}
    desk.plan()
    desk.deliver()
    break_down(anna, "twilio")
    clock.advance(minutes=121)
    assert desk.app.fallback_sweeper.sweep().followed == Counter(email=1)
    assert anna.query("SELECT tried_addresses FROM notifications WHERE channel = 'email'") == [([],)]
    break_down(anna, "twilio", state="closed")
    desk.refusals.pop(MOBILE)
    desk.to_the_end()
    assert desk.got == [MOBILE]
    assert desk.rows()[1:] == [("email", "failed", "address_rejected", True), ("sms", "sent", None, True)]


def test_a_batch_of_those_who_have_to_wait_holds_nobody_up(
    desk: Desk, hospital: Hospital, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fall_back, "_AT_ONCE", 2)
    for number in range(5):
        mail = None if number < 4 else MAIL
        hospital.add_patient(f"p{number}", phone=f"+491511000000{number}", mail=mail)
        hospital.add_appointment(f"a{number}", f"p{number}")
        hospital.set_preferences(f"p{number}", channels=["sms"])
    desk.plan()
    break_down(hospital, "twilio")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=1), Counter(no_other_address=4))
    clock.advance(seconds=30)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(), Counter(no_other_address=4))
    assert desk.app.fallback_sweeper.sweep() == NOTHING


def test_a_channel_is_down_only_when_all_of_its_providers_are(app: App, hospital: Hospital) -> None:
    app.fallback_sweeper.provider_names = {SMS: ("twilio", "sns"), EMAIL: ("smtp",)}
    hospital.add_patient()
    hospital.add_appointment()
    hospital.set_preferences(channels=["sms"])
    app.reminder_planner.plan(TODAY)
    app.clock.advance(minutes=125)  # type: ignore[attr-defined]
    break_down(hospital, "twilio")
    assert app.fallback_sweeper.sweep() == NOTHING
    break_down(hospital, "sns")
    assert app.fallback_sweeper.sweep().followed == Counter(email=1)


def test_a_paused_channel_is_left_alone(desk: Desk, anna: Hospital, clock: SetClock) -> None:
    desk.plan()
    break_down(anna, "twilio")
    anna.query("INSERT INTO pauses (channel, paused_at, paused_by) VALUES ('sms', now(), 'a test') RETURNING 1")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == NOTHING


def test_a_message_that_overtakes_the_decision_finds_nothing_to_send(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.plan()
    break_down(anna, "twilio")
    clock.advance(minutes=125)
    [(identity,)] = anna.query("SELECT id FROM notifications")
    desk.app.fallback_sweeper.sweep()
    claims, _ = desk.app.deliverer.claim([identity])
    assert claims == []


def test_a_change_does_not_wait_for_a_dead_provider_until_the_appointment_begins(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    changed(desk.app)
    break_down(anna, "twilio")
    clock.advance(minutes=4)
    assert desk.app.fallback_sweeper.sweep() == NOTHING
    clock.advance(minutes=1)
    assert desk.app.fallback_sweeper.sweep().followed == Counter(email=1)
    desk.to_the_end()
    assert desk.got == [MAIL]
    assert anna.query("SELECT kind, lane FROM notifications WHERE fallback_of IS NOT NULL") == [
        ("venue_changed", "high")
    ]


def changed(app: App) -> None:
    """The hospital says that Anna's appointment has moved to another place."""
    venue, start = Venue("Room 7"), NOON + timedelta(days=3, hours=2)
    moved = Appointment("a1", "anna", start, None, venue, AppointmentStatus.BOOKED)
    app.event_acceptor.accept(ChangeEvent("e-1", EventType.VENUE_CHANGED, app.clock(), moved), body={})


@pytest.mark.parametrize("refusal", [ThrottledError("21611"), MisconfiguredError("21606")])
def test_a_change_does_not_wait_for_a_provider_that_is_well_but_never_takes_it(
    desk: Desk, anna: Hospital, clock: SetClock, refusal: DeliveryError
) -> None:
    changed(desk.app)
    desk.refusals = {MOBILE: refusal}
    while desk.app.clock() < NOON + timedelta(minutes=5):
        assert desk.deliver_and_sweep() == NOTHING
        clock.advance(seconds=30)
    assert desk.deliver_and_sweep().followed == Counter(email=1)
    desk.to_the_end()
    assert desk.got == [MAIL]


def test_a_reminder_that_is_never_taken_goes_another_way_shortly_before_its_window_closes(
    desk: Desk, anna: Hospital, clock: SetClock
) -> None:
    desk.refusals = {MOBILE: ThrottledError("21611")}
    desk.plan()
    clock.advance(minutes=119)
    assert desk.deliver_and_sweep() == NOTHING
    clock.advance(minutes=1)
    assert desk.deliver_and_sweep().followed == Counter(email=1)
    desk.refusals |= {MAIL: ThrottledError("452")}
    clock.advance(minutes=1)
    assert desk.deliver_and_sweep() == NOTHING, "what was only made is given its time"
    clock.advance(minutes=4)
    assert desk.deliver_and_sweep().followed == Counter(sms=1)


# --- trouble -----------------------------------------------------------------------------------


def test_one_patient_who_cannot_be_opened_holds_nobody_up(desk: Desk, hospital: Hospital) -> None:
    for number in range(3):
        hospital.add_patient(f"p{number}", phone=f"+491511000000{number}", mail=f"p{number}@example.org")
        hospital.add_appointment(f"a{number}", f"p{number}")
        hospital.set_preferences(f"p{number}", channels=["sms"])
    desk.plan()
    hospital.query("UPDATE notifications SET status = 'failed', reason = 'wording', finished_at = now() RETURNING 1")
    make_unreadable(hospital, "p1")
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=2), Counter(unreadable=1))


def test_with_a_wrong_key_nothing_is_decided(desk: Desk, anna: Hospital) -> None:
    desk.plan()
    anna.query("UPDATE notifications SET status = 'failed', reason = 'wording', finished_at = now() RETURNING 1")
    make_unreadable(anna, "anna")
    with pytest.raises(DecryptionError):
        desk.app.fallback_sweeper.sweep()
    assert anna.query("SELECT followed_up_at FROM notifications") == [(None,)]


def test_whoever_can_be_opened_shows_that_the_key_is_right_and_the_others_are_given_up(
    desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    """Only an unreadable one has failed since this process began; another one waits for a dead provider."""
    for name, number in (("anna", MOBILE), ("berta", SECOND)):
        hospital.add_patient(name, phone=number, mail=f"{name}@example.org")
        hospital.add_appointment(f"of-{name}", name)
        hospital.set_preferences(name, channels=["sms"])
    desk.plan()
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = 'wording', finished_at = now()"
        " WHERE patient_id = 'anna' RETURNING 1"
    )
    make_unreadable(hospital, "anna")
    break_down(hospital, "twilio")
    clock.advance(minutes=125)
    assert desk.app.fallback_sweeper.sweep() == FollowedUp(Counter(email=1), Counter(unreadable=1))


def test_what_somebody_else_holds_is_left_for_the_next_round(desk: Desk, anna: Hospital) -> None:
    desk.refusals = {MOBILE: DeadAddressError("21211")}
    desk.plan()
    desk.deliver()
    with desk.app.database.transaction() as transaction:
        transaction.execute("SELECT FROM notifications FOR UPDATE")
        assert desk.app.fallback_sweeper.sweep() == NOTHING
    assert desk.app.fallback_sweeper.sweep().followed == Counter(sms=1)


# --- many people -------------------------------------------------------------------------------

WORKS, DEAD, BLOCKED = None, DeadAddressError("21211"), AddressRejectedError("30004")
Fate = DeliveryError | None


@dataclass(frozen=True)
class Person:
    """What becomes of a message to each number and mail address, best first, and what the person wants."""

    numbers: list[Fate]
    mails: list[Fate]
    wants: list[str]
    refuses: list[str]

    def addresses(self, name: str) -> dict[str, Fate]:
        numbers = {f"+4915110000{name}{rank}": fate for rank, fate in enumerate(self.numbers)}
        return numbers | {f"p{name}.{rank}@example.org": fate for rank, fate in enumerate(self.mails)}

    def forbids(self, address: str) -> bool:
        return ("email" if "@" in address else "sms") in self.refuses


def contact(address: str, rank: int) -> ContactPoint:
    if "@" in address:
        return ContactPoint("email", address, rank=rank)
    return ContactPoint("phone", address, use="mobile", rank=rank, textable=True)


fates = st.sampled_from([WORKS, DEAD, BLOCKED])
people = st.builds(
    Person,
    numbers=st.lists(fates, max_size=3),
    mails=st.lists(fates, max_size=2),
    wants=st.sampled_from([[], ["sms"], ["email"], ["email", "sms"]]),
    refuses=st.sampled_from([[], [], ["sms"], ["email"]]),
)


@settings(max_examples=15, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(everybody=st.lists(people, min_size=4, max_size=4))
def test_whoever_has_an_address_that_works_and_is_allowed_is_reached_and_no_address_is_tried_twice(
    desk: Desk, hospital: Hospital, everybody: list[Person]
) -> None:
    desk.start_over()
    reachable, forbidden = set(), set()
    for name, person in zip("1234", everybody, strict=True):
        known = person.addresses(name)
        hospital.add_patient(name, contacts=[contact(address, rank) for rank, address in enumerate(known, start=1)])
        hospital.add_appointment(f"of-{name}", name)
        hospital.set_preferences(name, channels=person.wants, opted_out_channels=person.refuses)
        desk.refusals |= {address: fate for address, fate in known.items() if fate is not WORKS}
        forbidden |= {address for address in known if person.forbids(address)}
        if any(fate is WORKS and not person.forbids(address) for address, fate in known.items()):
            reachable.add(name)
    desk.plan()
    desk.to_the_end()
    rows = hospital.query("SELECT DISTINCT patient_id FROM notifications WHERE status = 'sent'")
    assert {row[0] for row in rows} == reachable
    assert len(set(desk.tried)) == len(desk.tried), "an address was tried twice"
    assert not set(desk.tried) & forbidden
    assert hospital.query("SELECT count(*) FROM notifications WHERE status IN ('pending', 'queued')") == [(0,)]


def test_with_a_tenth_failing_for_now_and_a_fiftieth_for_good_999_of_1000_with_two_addresses_are_reached(
    app: App, desk: Desk, hospital: Hospital, clock: SetClock
) -> None:
    """Each wants SMS and has a mail address as well; both providers fail alike, told apart by a fixed seed."""
    everybody, chance = 1_000, random.Random(7)
    _tell_by_sms_first(app)
    _admit(app, everybody)
    dead: dict[str, bool] = {}

    def fail(message: OutgoingMessage) -> DeliveryError | None:
        if dead.setdefault(message.to, chance.random() < 0.02):
            return DEAD
        return TemporaryDeliveryError("503") if chance.random() < 0.1 else None

    desk.sms.script = desk.email.script = fail
    app.reminder_planner.plan(TODAY)
    while hospital.statuses()["pending"]:
        desk.deliver_and_sweep()
        clock.advance(seconds=5)
    told = report_delivery(TODAY, database=app.database, settings=app.settings)
    assert told.patient_days_due == everybody
    assert told.fallbacks == told.by_reason["address_rejected"] - (everybody - told.patient_days_reached) > 5
    assert told.reached_share is not None
    assert told.reached_share >= 0.999
    assert told.patient_days_reached == len({*desk.got})


# --- speed -------------------------------------------------------------------------------------


def test_a_days_failures_are_followed_up_in_seconds(app: App, hospital: Hospital) -> None:
    everybody = 8_000
    _tell_by_sms_first(app)
    _admit(app, everybody)
    app.reminder_planner.plan(TODAY)
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = 'retries_spent', finished_at = now(),"
        " sent_to = patients.address_indexes[1] FROM patients WHERE patients.id = patient_id RETURNING 1"
    )
    began = time.monotonic()
    done = app.fallback_sweeper.sweep()
    spent = time.monotonic() - began
    print(f"followed up {everybody} in {spent:.1f} s")  # noqa: T201
    assert done == FollowedUp(Counter(email=everybody), Counter())
    assert spent < 30


def _tell_by_sms_first(app: App) -> None:
    """Mail is set up, and for fallbacks alone."""
    told = {"default_channels": (SMS,), "smtp_url": "smtp://mail.invalid", "email_from": "ward@example.org"}
    for name, value in told.items():
        object.__setattr__(app.settings, name, value)


def _admit(app: App, everybody: int) -> None:
    """As many patients, each with a number, a mail address and an appointment."""
    start = NOON + timedelta(days=3, hours=2)
    with app.database.transaction() as transaction, transaction.cursor() as cursor:
        columns = "(id, sealed_contact, deceased, address_indexes, content_hash, fetched_at)"
        with cursor.copy(f"COPY patients {columns} FROM STDIN") as copy:
            for number in range(everybody):
                number_of = ContactPoint("phone", f"+49151{number:05d}500", use="mobile", textable=True)
                mail_of = ContactPoint("email", f"p{number}@example.org")
                patient = Patient(f"p{number}", "Anna", None, (number_of, mail_of))
                sealed = seal_contact(patient, app.sealer)
                copy.write_row((patient.id, sealed, False, address_indexes(patient, app.sealer), b"", NOON))
        columns = "(id, patient_id, start_at, venue, status, content_hash, fetched_at)"
        with cursor.copy(f"COPY appointments {columns} FROM STDIN") as copy:
            for number in range(everybody):
                one = Appointment(f"a{number}", f"p{number}", start, None, Venue("Ward"), AppointmentStatus.BOOKED)
                copy.write_row((one.id, one.patient_id, start, "Ward", "booked", one.content_hash, NOON))
