from __future__ import annotations

import pytest
from desk import TOKENS, Desk
from flask.testing import FlaskClient

from carenotify.api import create_app
from carenotify.app import App


@pytest.fixture
def client(app: App) -> FlaskClient:
    """Anybody, without credentials."""
    return create_app(app, person=TOKENS.get).test_client()


@pytest.fixture
def desk(app: App, client: FlaskClient) -> Desk:
    return Desk(app, client)
