"""The synthetic hospital: repeatable, complete in its hard cases, and true to FHIR and to the telephone network."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from fhir.resources.R4B.appointment import Appointment
from fhir.resources.R4B.location import Location
from fhir.resources.R4B.patient import Patient

from carenotify.sandbox.dirty_rows import BROKEN_ROWS, DEFECTS
from carenotify.sandbox.hard_cases import CASES
from carenotify.sandbox.hospital import Hospital, build_hospital
from carenotify.sandbox.people import SCRIPTS
from carenotify.sandbox.twilio_numbers import BY_SUFFIX

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 24)
CASE_NAMES = {case.name for case in CASES}
PHONE_SYSTEMS = {"phone", "sms"}


def built(appointments: int, **changes: object) -> Hospital:
    return build_hospital(
        **({"appointments": appointments, "seed": 7, "reminder_day": DAY, "timezone": BERLIN} | changes)  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def large() -> Hospital:
    return built(8000)


def telecoms(hospital: Hospital) -> list[dict[str, str]]:
    return [contact for patient in hospital.patients.values() for contact in patient.get("telecom", ())]


def dirty(hospital: Hospital) -> list[str]:
    return [row.defect for row in hospital.rows.values() if row.defect]


def test_the_same_seed_makes_the_same_hospital() -> None:
    assert built(200) == built(200)
    assert built(200).rows != built(200, seed=8).rows


@pytest.mark.parametrize("appointments", [50, 51, 73, 200, 1000])
def test_the_reminder_day_has_as_many_rows_as_asked_for_and_the_other_days_a_tenth(appointments: int) -> None:
    hospital = built(appointments)
    assert len(hospital.rows_of(DAY)) == appointments
    assert len(hospital.rows) == appointments + appointments // 10
    today = DAY - timedelta(days=3)
    days = {row.indexed_at.astimezone(BERLIN).date() for row in hospital.rows.values()}
    assert {today + timedelta(days=1), today + timedelta(days=2)} < days, "something to catch up on"
    assert max(days) <= today + timedelta(days=14)


@pytest.mark.parametrize("seed", range(20))
def test_a_hospital_of_fifty_has_every_hard_case(seed: int) -> None:
    hospital = built(50, seed=seed)
    assert hospital.cases.keys() >= CASE_NAMES
    assert len(hospital.rows_of(DAY)) == 50


def test_a_large_hospital_has_every_hard_case_about_as_often_as_its_share(large: Hospital) -> None:
    assert large.cases.keys() == CASE_NAMES | set(DEFECTS)
    for case in CASES:
        rows = len(large.cases[case.name])
        assert case.share * 8000 <= rows <= 3 * case.share * 8000, case.name


@pytest.mark.parametrize("appointments", [50, 100, 333, 8000])
def test_dirty_rows_stay_below_the_share_at_which_a_load_is_held(appointments: int) -> None:
    assert 0 < len(dirty(built(appointments))) / appointments <= 0.04


def test_the_dirty_share_can_be_raised_and_put_out() -> None:
    assert set(dirty(built(50, dirty_share=0.4))) == set(DEFECTS)
    assert len(dirty(built(1000, dirty_share=0.4))) == 400
    assert dirty(built(1000, dirty_share=0.0)) == []


def test_there_are_a_few_less_patients_than_appointments(large: Hospital) -> None:
    assert 0.90 < len(large.patients) / len(large.rows) < 0.96


def test_everything_that_is_not_dirty_is_valid_fhir(large: Hospital) -> None:
    broken = set(BROKEN_ROWS)
    for row in large.rows.values():
        if row.defect not in broken:
            Appointment.model_validate(row.resource)
    for patient in large.patients.values():
        Patient.model_validate(patient)
    for location in large.locations.values():
        Location.model_validate(location)


def test_every_telephone_number_is_valid_but_the_dirty_ones(large: Hospital) -> None:
    kinds: Counter[int] = Counter()
    garbage = {"n/a", "000000000000", "012"}
    for contact in telecoms(large):
        if contact["system"] in PHONE_SYSTEMS and contact["value"] not in garbage:
            number = phonenumbers.parse(contact["value"], "DE")
            assert phonenumbers.is_valid_number(number), contact["value"]
            kinds[phonenumbers.number_type(number)] += 1
    assert kinds[phonenumbers.PhoneNumberType.MOBILE] > 5000
    assert kinds[phonenumbers.PhoneNumberType.FIXED_LINE] > 50


def test_no_patient_has_a_number_that_fails_at_the_provider(large: Hospital) -> None:
    values = {contact["value"] for contact in telecoms(large)} - {"000000000000"}
    assert not [value for value in values if value.replace(" ", "")[-4:] in BY_SUFFIX]


def test_mail_goes_to_domains_reserved_for_examples(large: Hospital) -> None:
    addresses = [contact["value"] for contact in telecoms(large) if contact["system"] == "email"]
    assert {address.rpartition("@")[2].rpartition(".")[2] for address in addresses} <= {"org", "example", ""}
    assert all(address.endswith((".example", "example.org")) for address in addresses if address != "foo@")


def test_names_come_in_every_script_even_in_a_small_hospital() -> None:
    given = {patient["name"][0]["given"][0] for patient in built(50).patients.values()}
    assert all(given & set(script.given) for script in SCRIPTS)


def test_the_truth_names_each_patient_once_and_every_reason(large: Hospital) -> None:
    truth = large.expected()
    assert not truth.told & truth.skipped.keys()
    assert truth.told <= large.patients.keys()
    assert set(truth.skipped.values()) == {
        *("no_contact", "no_usable_address", "opted_out", "deceased"),
        *("cancelled", "no_show", "entered_in_error", "not_booked", "quarantined"),
    }
    assert set(truth.quarantined.values()) == set(BROKEN_ROWS)


def patients_of(hospital: Hospital, case: str) -> set[str]:
    return {hospital.rows[key].patient_id or "" for key in hospital.cases[case]}


def test_the_truth_knows_who_may_be_told_at_two_addresses(large: Hospital) -> None:
    truth = large.expected()
    assert truth.with_two_addresses < truth.told
    assert len(truth.with_two_addresses) > 0.4 * len(truth.told)
    for case in ("sms_only", "email_only", "landline_and_email", "old_and_new_phone", "expired_and_current_email"):
        assert not patients_of(large, case) & truth.with_two_addresses, case
    assert patients_of(large, "work_ranked_first") <= truth.with_two_addresses


def test_a_merged_patient_is_expected_under_the_surviving_record(large: Hospital) -> None:
    truth = large.expected()
    assert large.survivors
    assert set(large.survivors.values()) <= truth.told
    assert not large.survivors.keys() & (truth.told | truth.skipped.keys())


def test_family_members_share_a_telephone_and_are_each_told(large: Hospital) -> None:
    patients = [large.rows[key].patient_id for key in large.cases["family_on_one_phone"]]
    assert set(patients) <= large.expected().told
    phones = Counter(large.patients[patient or ""]["telecom"][0]["value"] for patient in patients)
    assert min(phones.values()) >= 2


def test_around_midnight_the_utc_day_is_another_one(large: Hospital) -> None:
    starts = [large.rows[key].indexed_at for key in large.cases["around_midnight"]]
    assert {start.astimezone(BERLIN).date() for start in starts} == {DAY}
    assert DAY - timedelta(days=1) in {start.date() for start in starts}


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_day_on_which_the_clocks_change_keeps_its_rows(day: date) -> None:
    hospital = built(200, reminder_day=day)
    assert len(hospital.rows_of(day)) == 200
    starts = [
        datetime.fromisoformat(hospital.rows[key].resource["start"]).astimezone(BERLIN)
        for key in hospital.cases["same_day_double"]
    ]
    assert {(start.hour, start.minute) for start in starts} <= {(9, 10), (14, 30), (16, 20)}


def test_the_preferences_file_lists_who_opted_out(large: Hospital) -> None:
    lines = {line["patient_id"]: line for line in csv.DictReader(io.StringIO(large.preferences_csv()))}
    key = large.cases["opted_out_of_every_channel"][0]
    assert lines[large.rows[key].patient_id or ""]["opted_out_channels"] == "sms;email"
    assert "*" in {line["opted_out_kinds"] for line in lines.values()}


def test_a_cancelled_appointment_changes_the_truth() -> None:
    hospital = built(50)
    key = hospital.cases["email_only"][0]
    patient = hospital.rows[key].patient_id
    assert patient in hospital.expected().told
    hospital.change(key, datetime.now(BERLIN), status="cancelled")
    assert hospital.expected().skipped[patient or ""] == "cancelled"
    hospital.change(key, datetime.now(BERLIN), status="booked")
    assert patient in hospital.expected().told


def test_a_booking_for_somebody_who_died_is_still_not_told() -> None:
    hospital = built(50)
    key = hospital.cases["deceased_date"][0]
    hospital.change(key, datetime.now(BERLIN), status="booked")
    assert hospital.expected().skipped[hospital.rows[key].patient_id or ""] == "deceased"


def test_who_waits_without_a_time_stands_on_no_day(large: Hospital) -> None:
    waiting = {large.rows[key].patient_id for key in large.cases["waitlist_without_start"]}
    truth = large.expected()
    assert not waiting & (truth.told | truth.skipped.keys())


def test_a_move_to_a_time_without_offset_is_refused() -> None:
    hospital = built(50)
    with pytest.raises(ValueError, match="offset"):
        hospital.change(next(iter(hospital.rows)), datetime.now(BERLIN), start="2026-11-25T10:00:00")
