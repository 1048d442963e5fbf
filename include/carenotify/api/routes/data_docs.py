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

# Great Expectations' pages bring their tables' scripts from these servers. They may draw; they may not call Airflow or
# us in a reader's name, nor fetch the logo, whose address tells its owner which project is being looked at.
_SCRIPTS = (
    "https://cdn.jsdelivr.net https://cdnjs.cloudflare.com https://code.jquery.com https://stackpath.bootstrapcdn.com"
)
_STYLES = "https://cdn.jsdelivr.net https://cdnjs.cloudflare.com https://maxcdn.bootstrapcdn.com"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src 'self' 'unsafe-inline' 'unsafe-eval' https://unpkg.com {_SCRIPTS}",
        f"style-src 'self' 'unsafe-inline' https://unpkg.com {_STYLES}",
        "font-src 'self' https://cdnjs.cloudflare.com",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    ]
)


@data_docs.get("/data-docs/")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_data_docs() -> Response:
    """Show the first page of the data docs: the latest loads, and the rules."""
    return _page("index.html")


@data_docs.get("/data-docs/<path:page>")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ, tag="reports", answers={HTTPStatus.OK: None})
def get_data_docs_page(page: str) -> Response:
    """Show a page of the data docs, or what it is drawn with."""
    return _page(page)


def _page(page: str) -> Response:
    folder = site(Path(wiring().app.settings.data_docs_path)).resolve()
    if not (folder / "index.html").is_file():
        raise ProblemError(HTTPStatus.NOT_FOUND, "No load has been through the quality gate yet.")
    if not (folder / page).resolve().is_relative_to(folder):  # links that lead out; Flask itself refuses dots
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such page.")
    response = send_from_directory(folder, page)
    response.headers["Content-Security-Policy"] = _POLICY
    response.cache_control.private = True
    return response
