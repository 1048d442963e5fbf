"""Reading a FHIR Patient: which addresses, in which language, and whether anybody may be written to at all."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carenotify.sources.base import SourceContact, SourcePatient
from carenotify.sources.fhir_patient import read_patient


def read(**fields: Any) -> SourcePatient:
    return read_patient(
        {"resourceType": "Patient", "id": "p1"} | fields,
        patient_id="p1",
        timezone=ZoneInfo("Europe/Berlin"),
        default_region="DE",
    )


def contact(**fields: Any) -> SourceContact:
    (found,) = read(telecom=[fields]).contacts
    return found


@pytest.mark.parametrize(
    ("given", "value", "textable"),
    [
        ("0151 12345678", "+4915112345678", True),
        ("+49 (0)30 901820", "+4930901820", False),
        ("001 202-555-0143", "+12025550143", True),
        ("+44 7400 123456", "+447400123456", True),
    ],
)
def test_phones_become_e164_and_say_whether_they_take_texts(given: str, value: str, textable: bool) -> None:
    found = contact(system="phone", value=given, use="home")
    assert (found.value, found.textable) == (value, textable)


@pytest.mark.parametrize("given", ["n/a", "000000000000", "012", "ask his daughter", "+49"])
def test_what_is_no_phone_stays_as_it_was_for_the_gate_to_name(given: str) -> None:
    found = contact(system="phone", value=given)
    assert (found.system, found.value, found.textable) == ("phone", given, False)


def test_an_sms_address_takes_texts_whatever_its_number_looks_like() -> None:
    assert contact(system="sms", value="030 901820") == SourceContact("phone", "+4930901820", textable=True)
    assert not contact(system="sms", value="n/a").textable


@pytest.mark.parametrize("system", ["fax", "pager", "url", "other", None, 7])
def test_other_ways_of_contact_are_left_out(system: object) -> None:
    assert read(telecom=[{"system": system, "value": "030 901820"}]).contacts == ()


@pytest.mark.parametrize(("rank", "read_rank"), [(1, 1), (7, 7), (0, None), (-1, None), ("1", None), (True, None)])
def test_only_a_positive_rank_counts(rank: object, read_rank: int | None) -> None:
    assert contact(system="email", value="a@example.org", rank=rank).rank == read_rank


@pytest.mark.parametrize(
    ("period", "valid_from", "valid_until"),
    [
        ({"start": "2020-05-01", "end": "2020-05-31"}, "2020-05-01", "2020-05-31"),
        ({"start": "2020", "end": "2020"}, "2020-01-01", "2020-12-31"),
        ({"start": "2024-02", "end": "2024-02"}, "2024-02-01", "2024-02-29"),
        ({"end": "2020-05-31T23:30:00Z"}, None, "2020-06-01"),
        ({"end": "some day"}, None, "some day"),
        ({"end": "2020-02-30"}, None, "2020-02-30"),
        ("always", None, None),
    ],
)
def test_periods_are_days_of_the_hospital(period: object, valid_from: str | None, valid_until: str | None) -> None:
    found = contact(system="email", value="a@example.org", period=period)
    assert (found.valid_from, found.valid_until) == (valid_from, valid_until)


@pytest.mark.parametrize(
    ("fields", "deceased"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": "false"}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedBoolean": "true"}, True),
        ({"deceasedBoolean": {}}, True),
        ({"deceasedDateTime": "2020-01-01"}, True),
        ({"deceasedDateTime": "2020-01-01", "deceasedBoolean": False}, True),
    ],
)
def test_deceased_is_told_in_either_form(fields: dict[str, object], deceased: bool) -> None:
    assert read(**fields).deceased is deceased


def test_the_preferred_language_wins_over_the_first() -> None:
    spoken = [
        {"language": {"coding": [{"code": "tr"}]}},
        {"language": {"coding": [{"code": "de-AT"}]}, "preferred": True},
    ]
    assert read(communication=spoken).language == "de-AT"
    assert read(communication=spoken[:1]).language == "tr"
    assert read().language is None


def test_the_usual_name_is_what_people_are_greeted_by() -> None:
    names = [
        {"use": "old", "given": ["Old"]},
        {"use": "official", "given": ["Johannes", "Peter"]},
        {"use": "usual", "given": ["Hannes"]},
    ]
    assert read(name=names).given_name == "Hannes"
    assert read(name=names[:2]).given_name == "Johannes"
    assert read(name=[{"family": "Only"}]).given_name is None
