"""A day at a glance, for a page that asks every few seconds."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, request

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import Day, RequestModel
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.journeys.read_overview import Overview

overview = Blueprint("overview", __name__)


class AskedDay(RequestModel):
    """The hospital's day; today when not given."""

    date: Day | None = None


@overview.get("/overview")
@endpoint(
    Scope.REPORTS_READ,
    Scope.NOTIFICATIONS_READ,
    Scope.NOTIFICATIONS_READ_MASKED,
    tag="page",
    answers={HTTPStatus.OK: Overview, HTTPStatus.NOT_MODIFIED: None},
)
def get_overview(query: AskedDay) -> Response:
    """Tell how a day goes. With `If-None-Match`, an answer that has not changed is a 304."""
    written = wiring().app.overview_reader.read(query.date)
    answer = Response(written.body, content_type="application/json")
    answer.set_etag(written.version)
    answer.cache_control.no_cache = True  # kept by the reader's own browser, and asked for each time
    answer.cache_control.private = True
    answer.make_conditional(request)
    return answer
