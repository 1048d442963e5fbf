"""A failing patient API, read, checked and planned by the product, against what the hospital knows to be true."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
import requests

from carenotify.domain.kinds import REMINDER
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Preferences
from carenotify.domain.schedule import Candidate, Plan, ReminderRules, plan_digests
from carenotify.domain.window import local_day
from carenotify.journeys.take_apart_row import appointment_of, patients_of
from carenotify.quality.frames import Frames
from carenotify.sandbox.server import SandboxServer
from carenotify.sources.base import SourceRow
from carenotify.sources.fhir_http import FhirHttp
from carenotify.sources.fhir_r4 import FhirR4Source

if TYPE_CHECKING:
    from carenotify.quality.gate import Findings

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 10, 25)  # the clocks go back
TODAY = DAY - timedelta(days=3)
NOW = datetime(2026, 10, 22, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(reminder_day=DAY, timezone=BERLIN, appointments=1000, fail_share=0.1, seed=11) as running:
        running.faults.hang_seconds = 1.5
        yield running


@pytest.fixture(scope="module")
def rows(server: SandboxServer) -> list[SourceRow]:
    with requests.Session() as session:
        http = FhirHttp(base_url=server.fhir_url, session=session, timeout_seconds=1, attempts=8)
        source = FhirR4Source(http=http, timezone=BERLIN, default_region="DE", page_size=20)
        days = (TODAY + timedelta(days=number) for number in range(15))
        found = {row.appointment_id: row for day in days for page in source.appointments_on(day) for row in page.rows}
    return list(found.values())


@pytest.fixture(scope="module")
def findings(rows: list[SourceRow], tmp_path_factory: pytest.TempPathFactory) -> Findings:
    frames = Frames(now=NOW)
    for number, row in enumerate(rows):
        frames.add(number, row.as_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations itself imports and calls what is deprecated
        from carenotify.quality.gate import Gate

        gate = Gate(docs_path=tmp_path_factory.mktemp("docs"))
        return gate.check(
            run_id="truth", appointments=frames.appointments(stored_patients=()), contacts=frames.contacts()
        )


def preferences(server: SandboxServer) -> dict[str, Preferences]:
    lines = csv.DictReader(io.StringIO(requests.get(server.url + "/hospital/preferences.csv", timeout=5).text))

    def words(text: str) -> list[str]:
        return text.split(";") if text else []

    return {
        line["patient_id"]: Preferences(
            channels=tuple(map(Channel, words(line["channels"]))),
            opted_out_channels=frozenset(map(Channel, words(line["opted_out_channels"]))),
            opted_out_kinds=frozenset(words(line["opted_out_kinds"])),
        )
        for line in lines
    }


def planned(server: SandboxServer, rows: list[SourceRow], findings: Findings, day: date) -> Plan:
    wished = preferences(server)
    candidates = []
    for number, row in enumerate(rows):
        appointment = None if number in findings.appointments else appointment_of(row, known=None)
        if appointment is not None and local_day(appointment.start, BERLIN) == day:
            patient = patients_of(row, bad_contacts=findings.contacts.get(number, {}).keys())[-1]
            candidates.append(Candidate(appointment, patient, wished.get(patient.id, Preferences())))
    return plan_digests(candidates, ReminderRules(REMINDER, BERLIN, (Channel.SMS, Channel.EMAIL), TODAY, NOW))


def test_nothing_is_missing_though_one_call_in_ten_failed(server: SandboxServer, rows: list[SourceRow]) -> None:
    assert {row.appointment_id for row in rows} == server.hospital.rows.keys()
    assert server.faults.counted["api_failures"] > 3


def test_the_gate_stops_exactly_the_broken_rows(
    server: SandboxServer, rows: list[SourceRow], findings: Findings
) -> None:
    stopped = {rows[number].appointment_id for number in findings.appointments}
    assert stopped == server.hospital.expected().quarantined.keys()


@pytest.mark.parametrize("day", [DAY, DAY - timedelta(days=1), DAY + timedelta(days=5)])
def test_the_plan_tells_whom_it_should_and_skips_the_others_for_the_right_reason(
    server: SandboxServer, rows: list[SourceRow], findings: Findings, day: date
) -> None:
    truth, plan = server.hospital.expected(day), planned(server, rows, findings, day)
    told = {digest.patient.id for digest in plan.digests}
    assert told == truth.told
    skipped = {skip.patient_id: skip.reason for skip in plan.skips if skip.patient_id not in told}
    assert skipped == {patient: reason for patient, reason in truth.skipped.items() if reason != "quarantined"}
