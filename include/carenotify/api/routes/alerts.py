"""What staff were told of."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import BaseModel, Field

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import LARGEST_ID, RequestModel
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.journeys.list_alerts import ListedAlert, list_alerts

alerts = Blueprint("alerts", __name__)


class AlertPage(RequestModel):
    """Where the page begins, and how long it is."""

    cursor: int | None = Field(None, ge=1, le=LARGEST_ID)
    limit: int = Field(50, ge=1, le=200)


class Alerts(BaseModel):
    """Newest first. `cursor` brings the next page; null at the end."""

    alerts: list[ListedAlert]
    cursor: int | None


@alerts.get("/alerts")
@endpoint(
    Scope.REPORTS_READ,
    Scope.NOTIFICATIONS_READ,
    Scope.NOTIFICATIONS_READ_MASKED,
    tag="page",
    answers={HTTPStatus.OK: Alerts},
)
def get_alerts(query: AlertPage) -> Alerts:
    """List alerts, newest first: what happened, how bad it is, what to do, and whether it was mailed."""
    app = wiring().app
    with app.list_reads.one():
        page = list_alerts(app.database, before=query.cursor, limit=query.limit)
    return Alerts(alerts=page.alerts, cursor=page.next)
