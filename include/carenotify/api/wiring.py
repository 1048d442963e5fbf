"""How a view finds the parts it works with."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from carenotify.api.authentication import Doorkeeper
from carenotify.api.limits import Limits
from carenotify.api.readiness import Readiness
from carenotify.app import App

_NAME = "carenotify"


@dataclass(frozen=True)
class Wiring:
    """What one Flask app was built with."""

    app: App
    doorkeeper: Doorkeeper
    limits: Limits
    readiness: Readiness


def wire(flask: Flask, wiring: Wiring) -> None:
    """Put the parts where views find them."""
    flask.extensions[_NAME] = wiring


def wiring() -> Wiring:
    """The parts of the app that serves this request."""
    parts: Wiring = current_app.extensions[_NAME]
    return parts
