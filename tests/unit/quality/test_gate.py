"""Each rule catches what no other rule would: take it out, and the dirty row gets through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from carenotify.errors import LoadHeldError
from carenotify.quality.appointment_rules import APPOINTMENT_RULES
from carenotify.quality.contact_rules import CONTACT_RULES
from carenotify.quality.frames import Frames
from carenotify.quality.gate import Findings, Gate
from carenotify.quality.rule import Rule

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
GOOD_PHONE = {"system": "phone", "value": "+4915112345678", "valid_from": None, "valid_until": "2030-12-31"}
GOOD_MAIL = {"system": "email", "value": "o'neil+tag@sub.example.org", "valid_from": "2020-01-01", "valid_until": None}
GOOD: dict[str, Any] = {
    "appointment_id": "apt-1",
    "patient_id": "pat-1",
    "start": "2026-11-27T10:00:00+01:00",
    "end": "2026-11-27T10:20:00+01:00",
    "venue": "Building 2",
    "status": "booked",
    "gone": False,
    "patients": [{"contacts": [GOOD_PHONE, GOOD_MAIL]}],
}

# What only the rule of that name catches.
DIRTY_ROWS: dict[str, dict[str, Any]] = {
    "appointment_id_present": {"appointment_id": None},
    "appointment_id_is_fhir_id": {"appointment_id": "apt 1; drop"},
    "patient_reference_present": {"patient_id": None, "patients": []},
    "patient_known": {"patient_id": "nobody", "patients": []},
    "status_present": {"status": None},
    "status_is_fhir_status": {"status": "confirmed"},
    "start_present": {"start": None, "end": None},
    "start_has_offset": {"start": "2026-11-27T10:00:00", "end": None},
    "start_exists": {"start": "2026-02-30T10:00:00+01:00", "end": None},
    "start_in_range": {"start": "2206-11-27T10:00:00+01:00", "end": None},
    "end_is_instant": {"end": "in twenty minutes"},
    "end_not_before_start": {"end": "2026-11-27T09:59:00+01:00"},
    "venue_present": {"venue": None},
}
DIRTY_CONTACTS: dict[str, dict[str, Any]] = {
    "phone_is_number": GOOD_PHONE | {"value": "+4912"},
    "mail_is_address": GOOD_MAIL | {"value": "anna@example"},
    "period_is_dates": GOOD_PHONE | {"valid_until": "2020-13-01"},
}


def findings_of(
    docs_path: Path,
    *contents: dict[str, Any],
    stored_patients: Sequence[str] = (),
    appointment_rules: Sequence[Rule] = APPOINTMENT_RULES,
    contact_rules: Sequence[Rule] = CONTACT_RULES,
) -> Findings:
    """Rows are numbered from 1."""
    frames = Frames(now=NOW)
    for row_id, content in enumerate(contents, start=1):
        frames.add(row_id, content)
    gate = Gate(docs_path=docs_path, appointment_rules=appointment_rules, contact_rules=contact_rules)
    appointments = frames.appointments(stored_patients=stored_patients)
    return gate.check(run_id="manual__2026-11-24T08:30:00+00:00", appointments=appointments, contacts=frames.contacts())


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for the docs of many checks: making a new one takes longer than a check."""
    return tmp_path_factory.mktemp("docs")


def test_a_good_row_breaks_no_rule(docs: Path) -> None:
    findings = findings_of(docs, GOOD, GOOD | {"end": None}, GOOD | {"end": GOOD["start"]})
    assert findings == Findings(appointments={}, contacts={})


def test_every_rule_has_a_row_that_only_it_catches() -> None:
    assert set(DIRTY_ROWS) == {rule.name for rule in APPOINTMENT_RULES}
    assert set(DIRTY_CONTACTS) == {rule.name for rule in CONTACT_RULES}


DIRTY = [GOOD | fields for fields in DIRTY_ROWS.values()]
DIRTY_ADDRESSED = [
    GOOD | {"patients": [{"contacts": [GOOD_MAIL]}, {"contacts": [GOOD_PHONE, contact]}]}
    for contact in DIRTY_CONTACTS.values()
]


@pytest.fixture(scope="module")
def with_all_rules(docs: Path) -> Findings:
    """The dirty rows first, then those with a dirty address."""
    return findings_of(docs, *DIRTY, *DIRTY_ADDRESSED)


@pytest.mark.parametrize("rule", DIRTY_ROWS)
def test_an_appointment_rule_is_needed(rule: str, docs: Path, with_all_rules: Findings) -> None:
    row_id = list(DIRTY_ROWS).index(rule) + 1
    assert with_all_rules.appointments[row_id] == (rule,)
    without = [other for other in APPOINTMENT_RULES if other.name != rule]
    assert row_id not in findings_of(docs, *DIRTY, appointment_rules=without).appointments


@pytest.mark.parametrize("rule", DIRTY_CONTACTS)
def test_a_contact_rule_is_needed(rule: str, docs: Path, with_all_rules: Findings) -> None:
    position = list(DIRTY_CONTACTS).index(rule)
    assert with_all_rules.contacts[len(DIRTY) + position + 1] == {2: (rule,)}
    assert len(DIRTY) + position + 1 not in with_all_rules.appointments
    without = [other for other in CONTACT_RULES if other.name != rule]
    assert position + 1 not in findings_of(docs, *DIRTY_ADDRESSED, contact_rules=without).contacts


def test_a_row_is_told_every_rule_that_it_breaks(docs: Path) -> None:
    findings = findings_of(docs, GOOD | {"appointment_id": "apt 1; drop", "venue": None})
    assert findings.appointments == {1: ("appointment_id_is_fhir_id", "venue_present")}


@pytest.mark.parametrize("status", ["cancelled", "noshow", "fulfilled", "entered-in-error"])
@pytest.mark.parametrize("lost", [{"venue": None}, {"end": "never"}, {"end": "2026-11-27T09:59:00+01:00"}])
def test_only_who_is_to_come_needs_a_place_and_an_end(lost: dict[str, Any], status: str, docs: Path) -> None:
    assert findings_of(docs, GOOD | lost | {"status": status}).appointments == {}


@pytest.mark.parametrize(
    "mail",
    ["foo@", "@example.org", "a b@example.org", "a..b@example.org", "a@example.org\n", "x" * 65 + "@example.org"],
)
def test_what_is_no_mail_address(mail: str, docs: Path) -> None:
    content = GOOD | {"patients": [{"contacts": [GOOD_MAIL | {"value": mail}]}]}
    assert findings_of(docs, content).contacts == {1: {0: ("mail_is_address",)}}


def test_a_patient_that_the_source_did_not_give_is_known_when_stored(docs: Path) -> None:
    content = GOOD | DIRTY_ROWS["patient_known"]
    assert findings_of(docs, content, stored_patients=["nobody"]).appointments == {}


@pytest.mark.parametrize("status", ["proposed", "waitlist", "cancelled"])
def test_what_has_no_time_yet_needs_no_start(status: str, docs: Path) -> None:
    assert findings_of(docs, GOOD | {"start": None, "end": None, "status": status}).appointments == {}


def test_a_rule_that_cannot_be_run_holds_the_load(docs: Path) -> None:
    frames = Frames(now=NOW)
    frames.add(1, GOOD)
    broken = frames.appointments(stored_patients=()).drop(columns="venue_where_required")
    with pytest.raises(LoadHeldError, match="venue_present could not be checked"):
        Gate(docs_path=docs).check(run_id="r1", appointments=broken, contacts=frames.contacts())


class _Incomparable:
    """A value whose error tells of it, as pandas' errors may."""

    def __ge__(self, _: object) -> bool:
        raise TypeError("secret value")


def test_what_a_rule_died_of_is_in_no_data_docs(docs: Path) -> None:
    frames = Frames(now=NOW)
    frames.add(1, GOOD)
    broken = frames.appointments(stored_patients=())
    broken["minutes"] = [_Incomparable()]
    with pytest.raises(LoadHeldError, match="end_not_before_start could not be checked"):
        Gate(docs_path=docs).check(run_id="died", appointments=broken, contacts=frames.contacts())
    files = [file for file in docs.rglob("*") if file.suffix in {".html", ".json"}]
    assert [file for file in files if "secret value" in file.read_text()] == []


def test_an_empty_load_breaks_no_rule(docs: Path) -> None:
    assert findings_of(docs) == Findings(appointments={}, contacts={})


def test_the_data_docs_show_rules_and_no_values(tmp_path: Path) -> None:
    secret = GOOD | {"status": "secret-status", "patients": [{"contacts": [GOOD_MAIL | {"value": "secret@mail"}]}]}
    findings_of(tmp_path, GOOD, secret)
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.suffix in {".html", ".json"}]
    text = "".join(file.read_text() for file in files)
    assert any(file.name == "index.html" for file in files)
    assert "expect_column_values_to_be_in_set" in text or "must belong to this set" in text
    assert "secret" not in text
