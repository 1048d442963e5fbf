"""Who is asking, so that a page shows people only what they may do."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import BaseModel

from carenotify.api.endpoint import endpoint
from carenotify.api.guard import caller
from carenotify.domain.access import Scope

me = Blueprint("me", __name__)


class Me(BaseModel):
    """The name of the person, or the id of the API key, and what they may do."""

    name: str
    scopes: list[Scope]


@me.get("/me")
@endpoint(*Scope, tag="page", answers={HTTPStatus.OK: Me})
def get_me() -> Me:
    """Tell callers who they are, and what they may do."""
    found = caller()
    return Me(name=found.actor.partition(":")[2], scopes=sorted(found.scopes))
