"""The quality gate's data docs: which rules each load kept and broke, as Great Expectations writes them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, send_from_directory

from carenotify.api.endpoint import endpoint
from carenotify.api.problems import ProblemError
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.quality.data_docs import site

data_docs = Blueprint("data_docs", __name__)

# The pages bring scripts from public servers with them. Those may draw; they may not call Airflow or us in a reader's
# name.
_POLICY = (
    "default-src 'self' https: data: 'unsafe-inline'; script-src 'self' https: 'unsafe-inline' 'unsafe-eval'; "
    "connect-src 'none'; form-action 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@data_docs.get("/data-docs/", defaults={"page": "index.html"})
@data_docs.get("/data-docs/<path:page>")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_data_docs(page: str) -> Response:
    """Show a page of the data docs."""
    folder = site(Path(wiring().app.settings.data_docs_path)).resolve()
    if not (folder / "index.html").is_file():
        raise ProblemError(HTTPStatus.NOT_FOUND, "No load has been through the quality gate yet.")
    if not (folder / page).resolve().is_relative_to(folder):  # links that lead out; Flask itself refuses dots
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such page.")
    response = send_from_directory(folder, page)
    response.headers["Content-Security-Policy"] = _POLICY
    response.cache_control.private = True
    return response
