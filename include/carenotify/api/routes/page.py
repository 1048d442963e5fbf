"""The page on which staff see everything: static files, with nothing personal in them."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, Response, request

from carenotify.api.endpoint import open_endpoint
from carenotify.api.problems import ProblemError

page = Blueprint("page", __name__)

FOLDER = Path(__file__).parents[1] / "page"

# What a browser is told of each kind of file; the machine's own list may call scripts something that none runs.
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}

# It runs its own scripts, talks to us alone, and is framed by Airflow alone, which is the same origin.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


@page.get("/page")
@open_endpoint(tag="page", answers={HTTPStatus.OK: None, HTTPStatus.NOT_MODIFIED: None})
def get_page() -> Response:
    """Show the page. What it shows, it asks for with its reader's own login."""
    return _file("index.html")


@page.get("/page/")
@open_endpoint(tag="page", answers={HTTPStatus.PERMANENT_REDIRECT: None})
def get_page_folder() -> Response:
    """Lead to the page: its files are named from the address without a slash at its end."""
    # Relative, so that it holds behind a proxy that serves us below a path of its own.
    return Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": "../page"})


@page.get("/page/<path:path>")
@open_endpoint(tag="page", answers={HTTPStatus.OK: None, HTTPStatus.NOT_MODIFIED: None})
def get_page_file(path: str) -> Response:
    """Send a script, a style sheet or a picture of the page."""
    return _file(path)


def _file(path: str) -> Response:
    file = _files().get(path)
    if file is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such file.")
    # Read whole, since all are small: a browser that goes away in the middle leaves no open file behind.
    response = Response(file.read_bytes(), mimetype=_TYPES[file.suffix])
    response.headers["Content-Security-Policy"] = _POLICY
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def _files() -> dict[str, Path]:
    """What there is to be sent, by its path; a link that leads out of the folder is not."""
    folder = FOLDER.resolve()
    return {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.suffix in _TYPES and file.resolve().is_relative_to(folder)
    }
