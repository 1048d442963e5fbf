"""Reports for people and for spreadsheets: months, coverage, and CSV of each."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest
from desk import Desk

from carenotify.app import App
from carenotify.domain.access import Scope
from carenotify.journeys.report_delivery import report_delivery
from tests.integration.ward import MAIL, MOBILE, NOON, Hospital, SetClock, make_unreadable

READER = "viewer.to.ken"


@pytest.fixture
def month(app: App, hospital: Hospital, clock: SetClock) -> Hospital:
    """Anna is reached by mail on the 24th, nobody on the 25th."""
    for number, patient in enumerate(("anna", "berta")):
        hospital.add_patient(patient)
        hospital.add_appointment(f"{patient}-1", patient, start=NOON + timedelta(days=3 + number, hours=2))
    for _ in range(2):
        app.reminder_planner.plan(clock.now.date())
        clock.advance(days=1)
    hospital.query(
        "UPDATE notifications SET status = 'failed', reason = 'carrier' WHERE patient_id = 'berta' OR channel = 'sms'"
        " RETURNING 1"
    )
    hospital.query("UPDATE notifications SET status = 'sent' WHERE status <> 'failed' RETURNING 1")
    return hospital


def told(desk: Desk, path: str) -> dict[str, Any]:
    answer = desk.call_with(READER, "GET", path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def table(desk: Desk, path: str) -> list[list[str]]:
    answer = desk.call_with(READER, "GET", path)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
    assert answer.text.endswith("\r\n")
    return list(csv.reader(io.StringIO(answer.text, newline="")))


def test_a_month_tells_each_of_its_days_that_has_begun(desk: Desk, app: App, month: Hospital) -> None:
    found = told(desk, "/reports/monthly?month=2026-11")
    days = {day["day"]: day for day in found["days"]}
    assert (min(days), max(days), len(days)) == ("2026-11-01", "2026-11-26", 26)
    assert days["2026-11-24"] == {
        "day": "2026-11-24",
        "patient_days_due": 1,
        "patient_days_reached": 1,
        "reached_share": 1.0,
        "untold": 0,
        "by_channel": {"email": 1, "sms": 1},
        "failures": {"carrier": 1},
    }
    assert days["2026-11-25"]["reached_share"] == 0.0
    assert days["2026-11-01"]["reached_share"] is None
    assert {name: value for name, value in found.items() if name != "days"} == {
        "month": "2026-11",
        "patient_days_due": 2,
        "patient_days_reached": 1,
        "reached_share": 0.5,
        "untold": 0,
        "by_channel": {"email": 2, "sms": 2},
        "failures": {"carrier": 3},
    }
    for day in (date(2026, 11, 24), date(2026, 11, 25)):
        report = report_delivery(day, database=app.database, settings=app.settings)
        same = days[day.isoformat()]
        assert (same["patient_days_due"], same["patient_days_reached"], same["untold"]) == (
            report.patient_days_due,
            report.patient_days_reached,
            report.untold,
        )


def test_a_month_to_come_has_no_days_and_an_empty_one_no_share(desk: Desk) -> None:
    assert told(desk, "/reports/monthly?month=2026-12")["days"] == []
    this = told(desk, "/reports/monthly")
    assert (this["month"], len(this["days"]), this["reached_share"], this["by_channel"]) == ("2026-11", 24, None, {})


def test_a_month_that_is_none_is_a_problem(desk: Desk) -> None:
    none = ("2026-13", "2026-00", "1999-12", "2200-01", "0000-01", "202611", "2026-1", "")
    for query in [f"month={month}" for month in none] + ["x=1"]:
        for path in ("monthly", "monthly.csv"):
            assert desk.call_with(READER, "GET", f"/reports/{path}?{query}").status_code == 422, query


def test_a_month_as_csv_has_a_line_for_each_day(desk: Desk, month: Hospital) -> None:
    lines = table(desk, "/reports/monthly.csv?month=2026-11")
    assert lines[0] == [
        *("day", "patient_days_due", "patient_days_reached", "reached_share", "untold"),
        *("reminders_email", "reminders_sms", "failed_carrier"),
    ]
    assert len(lines) == 27
    assert lines[24] == ["2026-11-24", "1", "1", "1.0", "0", "1", "1", "1"]
    assert lines[1] == ["2026-11-01", "0", "0", "", "0", "0", "0", "0"]


def test_a_day_as_csv_has_a_line_for_each_figure_and_names_nobody(desk: Desk, month: Hospital) -> None:
    answer = desk.call("GET", "/reports/delivery.csv?date=2026-11-24", scopes={Scope.NOTIFICATIONS_READ})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="delivery-2026-11-24.csv"'
    lines = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert lines[0] == ["figure", "of", "number"]
    assert ["patient_days_reached", "", "1"] in lines
    assert ["by_status", "failed", "1"] in lines
    assert "notification_ids" not in answer.text
    assert not [each for each in ("anna", "berta", MOBILE, MAIL) if each in answer.text]


def test_a_cell_is_never_a_formula(desk: Desk, month: Hospital) -> None:
    month.query("UPDATE notifications SET reason = '=cmd|'' /C calc''!A0' WHERE status = 'failed' RETURNING 1")
    found = desk.call_with(READER, "GET", "/reports/delivery.csv?date=2026-11-24").text
    cells = [cell for line in csv.reader(io.StringIO(found, newline="")) for cell in line]
    assert "'=cmd|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_coverage_counts_patients_with_an_appointment_ahead(desk: Desk, hospital: Hospital) -> None:
    hospital.add_patient("both")
    hospital.add_patient("phone", mail=None)
    hospital.add_patient("mail", phone=None, mail="carl@example.org")
    hospital.add_patient("neither", contacts=[])
    hospital.add_patient("merged", merged_into="both")
    hospital.add_patient("broken")
    make_unreadable(hospital, "broken")
    hospital.add_patient("without an appointment")
    for patient in ("both", "phone", "mail", "neither", "merged", "broken", "unknown"):
        hospital.add_appointment(f"of-{patient}", patient)
    hospital.add_appointment("second", "both")
    hospital.add_appointment("over", "without an appointment", start=NOON - timedelta(hours=1))
    hospital.add_appointment("off", "without an appointment", status="cancelled")
    sealer = hospital.database.sealer
    hospital.query(
        "INSERT INTO suppressions (address_index, reason) VALUES (%s, 'bounced') RETURNING 1",
        sealer.index("carl@example.org"),
    )
    found = told(desk, "/reports/coverage")
    assert found == {"patients": 6, "with_phone": 2, "with_email": 1, "with_any": 2, "share": 2 / 6}
    assert table(desk, "/reports/coverage.csv") == [
        ["patients", "with_phone", "with_email", "with_any", "share"],
        ["6", "2", "1", "2", str(2 / 6)],
    ]


def test_coverage_of_nobody_has_no_share(desk: Desk) -> None:
    nobody = {"patients": 0, "with_phone": 0, "with_email": 0, "with_any": 0, "share": None}
    assert told(desk, "/reports/coverage") == nobody


def test_an_empty_hospital_has_every_report_as_csv(desk: Desk) -> None:
    for report in ("delivery", "monthly", "coverage"):
        assert len(table(desk, f"/reports/{report}.csv")) > 1, report


def test_who_may_read_no_reports_is_told_what_is_needed(desk: Desk) -> None:
    for report in ("delivery.csv", "monthly", "monthly.csv", "coverage", "coverage.csv"):
        answer = desk.call("GET", f"/reports/{report}", scopes={Scope.NOTIFICATIONS_READ_MASKED})
        assert answer.status_code == 403
        assert "reports:read" in answer.get_json()["detail"]
