"""The synthetic hospital: who comes when, and the truth about who should be told."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

from carenotify.sandbox import resources
from carenotify.sandbox.dirty_rows import DEFECTS, write_dirty_row
from carenotify.sandbox.hard_cases import CASES
from carenotify.sandbox.resources import Resource
from carenotify.sandbox.ward import NOT_TOLD, Row, Ward, Wish

DAYS_BEFORE = 3
HORIZON_DAYS = 14
DEFAULT_DIRTY_SHARE = 0.015
_SMALL_DIRTY_SHARE = 0.04  # a small hospital shows as many defects as the gate's default limit (0.05) lets pass


@dataclass(frozen=True, slots=True)
class Expected:
    """The truth of one local day, by patient id; a merged patient stands under the surviving id.

    `with_two_addresses` are those told who may be told at more than one.
    """

    told: frozenset[str]
    with_two_addresses: frozenset[str]
    skipped: dict[str, str]
    quarantined: dict[str, str]


@dataclass(slots=True)
class Hospital:
    """What the patient API serves. Ids are `apt-…`, `pat-…`, `loc-…`."""

    timezone: ZoneInfo
    reminder_day: date
    patients: dict[str, Resource]
    locations: dict[str, Resource]
    rows: dict[str, Row]
    wishes: dict[str, Wish]
    survivors: dict[str, str]
    reasons: dict[str, str]
    cases: dict[str, list[str]]
    landlines: set[str]
    e164: dict[str, str]

    def expected(self, day: date | None = None) -> Expected:
        """Who should be told about a day (by default the reminder day), who not and why, and which rows are broken."""
        told: set[str] = set()
        skipped: dict[str, str] = {}
        quarantined: dict[str, str] = {}
        for appointment_id, row in self.rows_of(day or self.reminder_day):
            if row.reason == "quarantined":
                quarantined[appointment_id] = row.defect or ""
            if row.patient_id not in self.patients or (row.defect is None and "start" not in row.resource):
                continue  # who waits without a time stands on no day
            person = self.survivors.get(row.patient_id, row.patient_id)
            if row.reason is None:
                told.add(person)
            else:
                skipped.setdefault(person, row.reason)
        return Expected(
            frozenset(told),
            frozenset(person for person in told - self._dirty() if len(self.addresses(person)) > 1),
            {person: reason for person, reason in skipped.items() if person not in told},
            quarantined,
        )

    def _dirty(self) -> set[str]:
        """Patients of broken rows: an address of theirs may be one that nobody can use."""
        return {row.patient_id for row in self.rows.values() if row.defect and row.patient_id}

    def addresses(self, patient_id: str) -> set[str]:
        """Where a patient may be told: current addresses that take messages, on channels that were not opted out of.

        Numbers are in E.164, as providers are given them.
        """
        refused = self.wishes.get(patient_id, Wish()).opted_out_channels
        telecoms = self.patients[patient_id].get("telecom", ())
        return {
            self.e164.get(telecom["value"], telecom["value"])
            for telecom in telecoms
            if telecom.get("use") != "old"
            and "end" not in telecom.get("period", {})
            and telecom["value"] not in self.landlines
            and ("email" if telecom["system"] == "email" else "sms") not in refused
        }

    def rows_of(self, day: date) -> list[tuple[str, Row]]:
        """Rows of a local day that have not been deleted."""
        return [
            (appointment_id, row)
            for appointment_id, row in self.rows.items()
            if not row.deleted and row.indexed_at.astimezone(self.timezone).date() == day
        ]

    def preferences_csv(self) -> str:
        """Columns patient_id, channels, language, opted_out_channels, opted_out_kinds; lists are separated by `;`."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("patient_id", "channels", "language", "opted_out_channels", "opted_out_kinds"))
        for patient_id, wish in self.wishes.items():
            lists = (wish.opted_out_channels, wish.opted_out_kinds)
            writer.writerow((patient_id, ";".join(wish.channels), wish.language, *map(";".join, lists)))
        return out.getvalue()

    def change(self, appointment_id: str, now: datetime, **fields: str) -> Resource:
        """Move, cancel or re-place an appointment: `start` and `end` (with offset), `status`, `location`.

        Raises KeyError for an unknown appointment or location and ValueError for a start without an offset.
        """
        row = self.rows[appointment_id]
        if "start" in fields:
            self._move(row, datetime.fromisoformat(fields["start"]), fields.get("end"))
        if "location" in fields:
            resources.move_to(row.resource, self.locations[fields["location"]])
        if "status" in fields:
            row.resource["status"] = fields["status"]
            row.reason = NOT_TOLD.get(fields["status"], "past") or self._reason_of_patient(row)
        _touch(row.resource, now)
        return row.resource

    def _reason_of_patient(self, row: Row) -> str | None:
        return self.reasons.get(row.patient_id or "")

    def _move(self, row: Row, start: datetime, end: str | None) -> None:
        if start.tzinfo is None:
            raise ValueError("start needs an offset")
        row.resource["start"] = start.isoformat()
        row.resource["end"] = end or (start + timedelta(minutes=20)).isoformat()
        row.indexed_at = start.astimezone(UTC)

    def rename(self, location_id: str, name: str, now: datetime) -> Resource:
        """Give a building another name: nobody has to go elsewhere. Raises KeyError for an unknown one."""
        location = self.locations[location_id]
        location["name"] = name
        _touch(location, now)
        return location


def _touch(resource: Resource, now: datetime) -> None:
    resource["meta"] = resources.meta(int(resource["meta"]["versionId"]) + 1, now)


def build_hospital(
    *, appointments: int, seed: int, reminder_day: date, timezone: ZoneInfo, dirty_share: float = DEFAULT_DIRTY_SHARE
) -> Hospital:
    """`appointments` rows on the reminder day and a tenth as many on other days of the horizon; the same for a seed."""
    ward = Ward(Random(seed), timezone, reminder_day)  # noqa: S311 - made to be repeatable
    _write_dirty(ward, appointments, dirty_share)
    _write_cases(ward, appointments)
    while len(ward.rows) < appointments:
        _write_plain(ward)
    _write_other_days(ward, appointments // 10)
    return Hospital(
        timezone=timezone,
        reminder_day=reminder_day,
        patients=ward.patients,
        locations=ward.places,
        rows=ward.rows,
        wishes=ward.wishes,
        survivors=ward.survivors,
        reasons=ward.reasons,
        cases=ward.cases,
        landlines=ward.registry.landlines,
        e164=ward.registry.e164,
    )


def _write_dirty(ward: Ward, appointments: int, share: float) -> None:
    wanted = round(share * appointments)
    if share > 0 and wanted < len(DEFECTS):
        wanted = max(wanted, min(len(DEFECTS), int(_SMALL_DIRTY_SHARE * appointments)))
    order = ward.rng.sample(DEFECTS, len(DEFECTS))
    for number in range(wanted):
        defect = order[number % len(order)]
        _noted(ward, defect, partial(write_dirty_row, ward, defect))


def _write_cases(ward: Ward, appointments: int) -> None:
    """One of each first, so that a small hospital has them all."""
    room = appointments - 2  # the largest case books three rows
    for case in CASES:
        if len(ward.rows) < room:
            _noted(ward, case.name, partial(case.write, ward))
    for case in CASES:
        for _ in range(round(case.share * appointments) - 1):
            if len(ward.rows) < room:
                _noted(ward, case.name, partial(case.write, ward))


def _noted(ward: Ward, name: str, write: Callable[[], None]) -> None:
    before = len(ward.rows)
    write()
    ward.cases.setdefault(name, []).extend(islice(reversed(ward.rows), len(ward.rows) - before))


def _write_plain(ward: Ward) -> None:
    ward.book(ward.admit(ward.registry.mobile(), ward.registry.email()))


def _write_other_days(ward: Ward, rows: int) -> None:
    """The two days that a late start must catch up on come first."""
    today = ward.day - timedelta(days=DAYS_BEFORE)
    ahead = [today + timedelta(days=number) for number in range(HORIZON_DAYS + 1) if number != DAYS_BEFORE]
    days = ahead[1:DAYS_BEFORE] + ahead[DAYS_BEFORE:] + ahead[:1]
    for number in range(rows):
        ward.day = days[number % len(days)]
        _write_plain(ward)
