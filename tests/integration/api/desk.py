"""What the tests of the HTTP surface are played with: callers of every kind."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from carenotify.app import App
from carenotify.domain.access import ALL_SCOPES, Person, Scope
from carenotify.journeys.issue_key import issue_key

BASE = "/carenotify/v1"
# Shaped like the JWTs that Airflow would check for us.
TOKENS = {
    f"{role.lower()}.to.ken": Person(role.lower(), (role,)) for role in ("Viewer", "User", "Op", "Admin", "Guest")
}


@dataclass
class Desk:
    """Makes requests in somebody's name."""

    app: App
    client: FlaskClient

    def key(self, *scopes: Scope, name: str = "tests") -> str:
        """A new API key."""
        return issue_key(self.app.database, name=name, scopes=scopes, by="tests", now=self.app.clock())[1]

    def call(self, method: str, path: str, *, scopes: Collection[Scope] = ALL_SCOPES, **more: Any) -> TestResponse:
        """A request with a new API key of these scopes."""
        return self.call_with(self.key(*scopes), method, path, **more)

    def call_with(self, token: str, method: str, path: str, **more: Any) -> TestResponse:
        """A request with a bearer token."""
        headers = {"Authorization": f"Bearer {token}"} | more.pop("headers", {})
        return self.client.open(BASE + path, method=method, headers=headers, buffered=True, **more)
