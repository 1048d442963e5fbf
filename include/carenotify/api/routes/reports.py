"""What became of a day's reminders."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import BaseModel, ConfigDict

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import Day, RequestModel
from carenotify.api.guard import caller
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.window import local_day
from carenotify.journeys.report_delivery import report_delivery

reports = Blueprint("reports", __name__)


class Asked(RequestModel):
    """The hospital's day; today when not given."""

    date: Day | None = None


class Report(BaseModel):
    """Counts; `reached_share` is null when nobody was due. The ids only for callers who may read notifications."""

    model_config = ConfigDict(from_attributes=True)

    day: str
    appointments_due: int
    patient_days_due: int
    patient_days_reached: int
    untold: int
    appointments_untold: int
    reached_share: float | None
    notifications: int
    by_channel: dict[str, int]
    by_status: dict[str, int]
    by_reason: dict[str, int]
    possible_duplicates: int
    skipped: dict[str, int]
    quarantined: int
    addresses_left_out: int
    notification_ids: dict[str, dict[str, str]] | None


@reports.get("/reports/delivery")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ, tag="reports", answers={HTTPStatus.OK: Report})
def get_delivery_report(query: Asked) -> Report:
    """Tell what became of the reminders that were planned on a day."""
    app = wiring().app
    day = query.date or local_day(app.clock(), app.settings.timezone)
    report = Report.model_validate(report_delivery(day, database=app.database, settings=app.settings))
    if Scope.NOTIFICATIONS_READ in caller().scopes:
        return report
    return report.model_copy(update={"notification_ids": None})
