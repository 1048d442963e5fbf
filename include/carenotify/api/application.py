"""The Flask app: the same inside Airflow's api-server and in a process of its own, at the same URLs."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Flask, Response
from flask.json.provider import JSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from carenotify.api import correlation, counting, guard, problems, traces
from carenotify.api.authentication import Doorkeeper, PersonOf
from carenotify.api.limits import Limits
from carenotify.api.openapi import openapi
from carenotify.api.readiness import readiness_of
from carenotify.api.routes.alerts import alerts
from carenotify.api.routes.data_docs import data_docs
from carenotify.api.routes.dead_letter_piles import dead_letter_piles
from carenotify.api.routes.dead_letters import dead_letters
from carenotify.api.routes.events import events
from carenotify.api.routes.fhir import fhir
from carenotify.api.routes.health import health
from carenotify.api.routes.inbound import inbound
from carenotify.api.routes.keys import keys
from carenotify.api.routes.me import me
from carenotify.api.routes.metrics import metrics
from carenotify.api.routes.notifications import notifications
from carenotify.api.routes.overview import overview
from carenotify.api.routes.page import page
from carenotify.api.routes.pauses import pausing
from carenotify.api.routes.previews import previews
from carenotify.api.routes.providers import providers
from carenotify.api.routes.receipts import receipts
from carenotify.api.routes.reports import reports
from carenotify.api.wiring import Wiring, wire
from carenotify.app import App
from carenotify.journeys.recognise_key import recognise_key
from carenotify.metrics import begin

ROOT = "/carenotify"
PREFIX = f"{ROOT}/v1"
_BLUEPRINTS = (
    health,
    metrics,
    openapi,
    me,
    overview,
    alerts,
    events,
    fhir,
    notifications,
    previews,
    dead_letters,
    dead_letter_piles,
    pausing,
    providers,
    keys,
    reports,
    data_docs,
    receipts,
    inbound,
)


class _Json(JSONProvider):
    """orjson: strict about UTF-8 and numbers, and quick."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


def create_app(app: App, *, person: PersonOf | None) -> Flask:
    """The Flask app over the parts of `app`, which stays the caller's to close.

    `person` tells who an Airflow token belongs to (None when it is not valid); without Airflow, hand in None.
    """
    flask = Flask("carenotify.api", static_folder=None)
    flask.json = _Json(flask)
    flask.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # no page of another site calls us; 405 says what there is
    begin()
    wire(flask, _wiring(app, person))
    counting.install(flask)
    problems.install(flask)
    correlation.install(flask)
    guard.install(flask)
    traces.install(flask)
    flask.after_request(_keep_to_oneself)
    for blueprint in _BLUEPRINTS:
        flask.register_blueprint(blueprint, url_prefix=PREFIX)
    flask.register_blueprint(page, url_prefix=ROOT)
    if hops := app.settings.api_trusted_proxies:
        flask.wsgi_app = ProxyFix(flask.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return flask


def _wiring(app: App, person: PersonOf | None) -> Wiring:
    return Wiring(
        app=app,
        doorkeeper=Doorkeeper(lambda text: recognise_key(app.database, text, now=app.clock()), person=person),
        limits=Limits(
            per_caller=app.settings.api_requests_per_minute_per_key,
            per_address=app.settings.api_requests_per_minute_per_address,
        ),
        readiness=readiness_of(app),
    )


def _keep_to_oneself(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response
