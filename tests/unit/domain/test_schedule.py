from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carenotify.domain.appointment import Appointment, AppointmentStatus, Venue
from carenotify.domain.kinds import REMINDER
from carenotify.domain.notification import Channel
from carenotify.domain.patient import ContactPoint, Patient, Preferences, addresses
from carenotify.domain.schedule import Candidate, Plan, ReminderRules, plan_digests, skip_reason
from carenotify.domain.window import local_day

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
DAY = date(2026, 11, 24)
BERLIN = ZoneInfo("Europe/Berlin")
RULES = ReminderRules(REMINDER, BERLIN, (Channel.SMS, Channel.EMAIL), DAY, NOW)
PHONE = ContactPoint("phone", "+4915112345678", use="mobile", textable=True)
MAIL = ContactPoint("email", "anna@example.org")
ANNA = Patient("anna", "Anna", "en", (PHONE, MAIL))


def appointment(identity: str = "a1", start: datetime = NOW + timedelta(days=3), **fields: object) -> Appointment:
    stands = Appointment(identity, "anna", start, None, Venue("Cardiology"), AppointmentStatus.BOOKED)
    return replace(stands, **fields)  # type: ignore[arg-type]


def candidate(
    told: Appointment | None = None, patient: Patient | None = ANNA, wish: Preferences | None = None
) -> Candidate:
    return Candidate(told or appointment(), patient, wish or Preferences())


def plan(*candidates: Candidate, rules: ReminderRules = RULES) -> Plan:
    return plan_digests(candidates, rules)


# --- whatever the hospital holds -------------------------------------------------------------

channels = st.sampled_from(Channel)
contact_points = st.builds(
    ContactPoint,
    system=st.sampled_from(["phone", "email", "fax"]),
    value=st.integers(0, 20).map(str),
    use=st.sampled_from(["mobile", "home", "work", "old", None]),
    rank=st.none() | st.integers(1, 3),
    textable=st.booleans(),
    valid_from=st.none() | st.dates(DAY - timedelta(days=2), DAY + timedelta(days=2)),
    valid_until=st.none() | st.dates(DAY - timedelta(days=2), DAY + timedelta(days=2)),
)
wishes = st.builds(
    Preferences,
    channels=st.lists(channels, max_size=3).map(tuple),
    language=st.none(),
    opted_out_channels=st.frozensets(channels),
    opted_out_kinds=st.frozensets(st.sampled_from(["reminder", "*", "change"]), max_size=1),
)


@st.composite
def wards(draw: st.DrawFn) -> list[Candidate]:
    """Up to six people with up to twenty appointments around now, as the tables would give them."""
    folk = {}
    for number in range(draw(st.integers(1, 6))):
        contacts = tuple(draw(st.lists(contact_points, max_size=4)))
        person = Patient(f"p{number}", None, None, contacts, deceased=draw(st.integers(0, 5)) == 0)
        refused = draw(st.frozensets(st.integers(0, 20).map(str), max_size=3))
        folk[person.id] = (person, draw(wishes), refused)
    candidates = []
    for number in range(draw(st.integers(0, 20))):
        patient_id = draw(st.sampled_from([*folk, "unknown"]))
        start = NOW + timedelta(minutes=draw(st.integers(-600, 4 * 24 * 60)))
        status = draw(st.just(AppointmentStatus.BOOKED) | st.sampled_from(AppointmentStatus))
        told = Appointment(f"a{number}", patient_id, start, None, Venue("Ward"), status)
        person, wish, refused = folk.get(patient_id, (None, Preferences(), frozenset()))  # type: ignore[arg-type]
        candidates.append(Candidate(told, person, wish, refused))
    return candidates


zones = st.sampled_from(
    [BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Kiritimati")]
)
rules = st.builds(
    ReminderRules,
    kind=st.just(REMINDER),
    timezone=zones,
    default_channels=st.lists(channels, min_size=1, max_size=3),
    day=st.just(DAY),
    now=st.just(NOW),
)


@given(wards(), rules)
def test_every_appointment_is_either_told_or_skipped_for_one_reason(
    candidates: list[Candidate], rules: ReminderRules
) -> None:
    made = plan_digests(candidates, rules)
    told = {one.id for digest in made.digests for one in digest.appointments}
    skipped = {one.appointment.id for one in candidates if skip_reason(one, rules) is not None}
    assert told.isdisjoint(skipped)
    assert told | skipped == {one.appointment.id for one in candidates}
    assert made.due == len(told)
    assert made.due + made.skipped.total() == len(candidates)
    assert made.patient_days == len({(digest.patient.id, digest.appointment_day) for digest in made.digests})


@given(wards(), rules)
def test_a_patient_gets_at_most_one_message_a_day_and_channel(
    candidates: list[Candidate], rules: ReminderRules
) -> None:
    made = plan_digests(candidates, rules)
    times = Counter((digest.patient.id, digest.appointment_day, digest.channel) for digest in made.digests)
    assert set(times.values()) <= {1}
    assert len({(digest.identity, digest.channel) for digest in made.digests}) == len(made.digests)


@given(wards(), rules)
def test_nobody_who_must_not_be_told_is_told(candidates: list[Candidate], rules: ReminderRules) -> None:
    known = {one.patient.id: one for one in candidates if one.patient is not None}
    for digest in plan_digests(candidates, rules).digests:
        stands = known[digest.patient.id]
        assert not digest.patient.deceased
        assert not stands.preferences.opted_out_kinds & {"reminder", "*"}
        assert digest.channel not in stands.preferences.opted_out_channels
        assert addresses(digest.patient, digest.channel, rules.day, stands.refused_addresses)


@given(wards(), rules)
def test_a_message_tells_of_booked_appointments_of_one_day_to_come_in_their_order(
    candidates: list[Candidate], rules: ReminderRules
) -> None:
    for digest in plan_digests(candidates, rules).digests:
        starts = [one.start for one in digest.appointments]
        assert starts == sorted(starts)
        assert starts[0] > rules.now
        assert {local_day(start, rules.timezone) for start in starts} == {digest.appointment_day}
        assert {one.status for one in digest.appointments} == {AppointmentStatus.BOOKED}


# --- by example ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (candidate(appointment(status=AppointmentStatus.CANCELLED)), "cancelled"),
        (candidate(appointment(status=AppointmentStatus.NO_SHOW)), "no_show"),
        (candidate(appointment(status=AppointmentStatus.ENTERED_IN_ERROR)), "entered_in_error"),
        (candidate(appointment(status=AppointmentStatus.WAITLIST)), "not_booked"),
        (candidate(appointment(status=AppointmentStatus.PROPOSED)), "not_booked"),
        (candidate(appointment(status=AppointmentStatus.PENDING)), "not_booked"),
        (candidate(appointment(status=AppointmentStatus.FULFILLED)), "past"),
        (candidate(appointment(start=NOW)), "past"),
        (candidate(patient=None), "patient_unknown"),
        (candidate(patient=replace(ANNA, deceased=True)), "deceased"),
        (candidate(patient=replace(ANNA, contacts=())), "no_contact"),
        (candidate(patient=replace(ANNA, contacts=(replace(PHONE, textable=False),))), "no_usable_address"),
        (candidate(patient=replace(ANNA, contacts=(replace(PHONE, use="old"),))), "no_usable_address"),
        (candidate(wish=Preferences(opted_out_kinds=frozenset({"reminder"}))), "opted_out"),
        (candidate(wish=Preferences(opted_out_kinds=frozenset({"*"}))), "opted_out"),
        (candidate(wish=Preferences(opted_out_channels=frozenset(Channel))), "opted_out"),
        (candidate(wish=Preferences(opted_out_kinds=frozenset({"change"}))), None),
        (Candidate(appointment(), ANNA, Preferences(), frozenset({PHONE.value, MAIL.value})), "opted_out"),
        (Candidate(appointment(), ANNA, Preferences(), frozenset({PHONE.value})), None),
        (candidate(), None),
    ],
)
def test_each_reason_to_tell_nobody_has_its_name(one: Candidate, reason: str | None) -> None:
    assert skip_reason(one, RULES) == reason
    assert plan(one).skipped == (Counter() if reason is None else Counter({reason: 1}))


@pytest.mark.parametrize("status", AppointmentStatus)
def test_only_what_is_booked_is_told_and_every_other_status_has_a_reason(status: AppointmentStatus) -> None:
    reason = skip_reason(candidate(appointment(status=status)), RULES)
    assert (reason is None) == (status is AppointmentStatus.BOOKED)


def test_two_of_one_day_are_one_message_in_the_order_of_their_times() -> None:
    later = candidate(appointment("a", start=NOW + timedelta(days=3, hours=2)))
    sooner = candidate(appointment("b", start=NOW + timedelta(days=3)))
    same_time = candidate(appointment("a0", start=NOW + timedelta(days=3)))
    made = plan(later, sooner, same_time)
    assert [[one.id for one in digest.appointments] for digest in made.digests] == [["a0", "b", "a"]] * 2
    assert (made.due, made.patient_days) == (3, 1)


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        # The spring day is 23 hours long and the autumn day 25, by UTC from 23:00 to 22:00 and from 22:00 to 23:00.
        (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 21, 59, tzinfo=UTC)),
        (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, tzinfo=UTC)),
    ],
)
def test_a_day_is_the_hospitals_day_also_when_the_clocks_change(day: date, first: datetime, last: datetime) -> None:
    rules = replace(RULES, day=day, now=first - timedelta(days=1))
    inside = [candidate(appointment("first", start=first)), candidate(appointment("last", start=last))]
    outside = [
        candidate(appointment("before", start=first - timedelta(minutes=1))),
        candidate(appointment("after", start=last + timedelta(minutes=1))),
    ]
    made = plan(*inside, *outside, rules=rules)
    by_day = {digest.appointment_day: [one.id for one in digest.appointments] for digest in made.digests}
    assert by_day == {
        day - timedelta(days=1): ["before"],
        day: ["first", "last"],
        day + timedelta(days=1): ["after"],
    }


def test_appointments_of_a_merged_record_and_its_survivor_are_one_message() -> None:
    of_merged = candidate(appointment("a1", patient_id="merged"))
    of_survivor = candidate(appointment("a2"))
    assert plan(of_merged, of_survivor).patient_days == 1


def test_the_wished_language_goes_before_the_records() -> None:
    wished = plan(candidate(wish=Preferences(language="tr")))
    assert {digest.wanted_language for digest in wished.digests} == {"tr"}
    assert {digest.wanted_language for digest in plan(candidate()).digests} == {"en"}


def test_only_channels_of_the_kind_are_used() -> None:
    by_sms_only = replace(RULES, kind=replace(REMINDER, channels=(Channel.SMS,)))
    assert [digest.channel for digest in plan(candidate(), rules=by_sms_only).digests] == [Channel.SMS]


def test_the_appointments_of_an_unknown_patient_are_counted_under_the_id_they_name() -> None:
    made = plan(candidate(patient=None), candidate(appointment("a2"), patient=None))
    assert [(skip.patient_id, skip.reason, skip.appointments) for skip in made.skips] == [
        ("anna", "patient_unknown", 2)
    ]
