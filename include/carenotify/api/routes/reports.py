"""What became of a day's reminders."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import Day, RequestModel
from carenotify.api.guard import caller
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.window import local_day
from carenotify.journeys.report_delivery import DeliveryReport, report_delivery

reports = Blueprint("reports", __name__)


class Asked(RequestModel):
    """The hospital's day; today when not given."""

    date: Day | None = None


@reports.get("/reports/delivery")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ, tag="reports", answers={HTTPStatus.OK: DeliveryReport})
def get_delivery_report(query: Asked) -> DeliveryReport:
    """Tell what became of the reminders that were planned on a day."""
    app = wiring().app
    day = query.date or local_day(app.clock(), app.settings.timezone)
    report = report_delivery(day, database=app.database, settings=app.settings)
    if Scope.NOTIFICATIONS_READ in caller().scopes:
        return report
    return report.model_copy(update={"notification_ids": None})
