"""What became of reminders: on a day, in a month, and how many patients can be reached at all."""

from __future__ import annotations

import re
from datetime import date
from http import HTTPStatus
from typing import Annotated

from flask import Blueprint, Response
from pydantic import BeforeValidator, Field, WithJsonSchema

from carenotify.api.csv_file import csv_file
from carenotify.api.endpoint import endpoint
from carenotify.api.fields import Day, RequestModel
from carenotify.api.guard import caller
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.window import local_day
from carenotify.journeys.report_coverage import CoverageReport
from carenotify.journeys.report_delivery import FIGURE_COLUMNS, DeliveryReport, report_delivery
from carenotify.journeys.report_month import MonthReport

reports = Blueprint("reports", __name__)

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_READ = (Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ)


def _first_of_month(value: object) -> date:
    if isinstance(value, str) and _MONTH.fullmatch(value) and value >= "0001":
        return date.fromisoformat(f"{value}-01")
    raise ValueError("is not a month; write it as 2026-11")


Month = Annotated[
    date,
    Field(ge=date(2000, 1, 1), le=date(2199, 12, 31)),
    BeforeValidator(_first_of_month),
    WithJsonSchema({"type": "string", "pattern": r"^(20|21)\d\d-(0[1-9]|1[0-2])$", "examples": ["2026-11"]}),
]


class Asked(RequestModel):
    """The hospital's day; today when not given."""

    date: Day | None = None


class AskedMonth(RequestModel):
    """The hospital's month; this one when not given."""

    month: Month | None = None


@reports.get("/reports/delivery")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: DeliveryReport})
def get_delivery_report(query: Asked) -> DeliveryReport:
    """Tell what became of the reminders that were planned on a day."""
    report = _delivery(query)
    if Scope.NOTIFICATIONS_READ in caller().scopes:
        return report
    return report.model_copy(update={"notification_ids": None})


@reports.get("/reports/delivery.csv")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_delivery_csv(query: Asked) -> Response:
    """Send a day's report as CSV: a line for each figure."""
    report = _delivery(query)
    return csv_file(report.csv_name, FIGURE_COLUMNS, report.figures())


@reports.get("/reports/monthly")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: MonthReport})
def get_month_report(query: AskedMonth) -> MonthReport:
    """Tell how a month's reminders went, day by day: who was due, who was reached, and what failed."""
    return wiring().app.month_reporter.report(query.month)


@reports.get("/reports/monthly.csv")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_month_csv(query: AskedMonth) -> Response:
    """Send a month's report as CSV: a line for each day."""
    report = wiring().app.month_reporter.report(query.month)
    channels, failures = sorted(report.by_channel), sorted(report.failures)
    header = ["day", "patient_days_due", "patient_days_reached", "reached_share", "untold"]
    header += [f"reminders_{channel}" for channel in channels] + [f"failed_{reason}" for reason in failures]
    rows = (
        [day.day, day.patient_days_due, day.patient_days_reached, day.reached_share, day.untold]
        + [day.by_channel.get(channel, 0) for channel in channels]
        + [day.failures.get(reason, 0) for reason in failures]
        for day in report.days
    )
    return csv_file(f"reminders-{report.month}.csv", header, rows)


@reports.get("/reports/coverage")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: CoverageReport})
def get_coverage_report() -> CoverageReport:
    """Tell how many patients with an appointment ahead have an address that can be used."""
    return wiring().app.coverage_reporter.report()


@reports.get("/reports/coverage.csv")
@endpoint(*_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_coverage_csv() -> Response:
    """Send the coverage as CSV: one line."""
    report = wiring().app.coverage_reporter.report().model_dump()
    return csv_file("coverage.csv", list(report), [list(report.values())])


def _delivery(query: Asked) -> DeliveryReport:
    app = wiring().app
    day = query.date or local_day(app.clock(), app.settings.timezone)
    with app.slow_reads.one():
        return report_delivery(day, database=app.database, settings=app.settings)
