"""Dead letters by the pile: how many of each reason wait for somebody, and many put away at once."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import RequestModel
from carenotify.api.guard import caller
from carenotify.api.problems import ProblemError
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.errors import NotReplayableError
from carenotify.journeys.discard_dead_letters import discard_dead_letters
from carenotify.journeys.list_dead_letters import count_open_dead_letters

dead_letter_piles = Blueprint("dead_letter_piles", __name__)

_LARGEST_ID = 2**63 - 1


class Pile(BaseModel):
    """The open dead letters of one reason, the oldest of them since `oldest_at`."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    open: int
    oldest_at: datetime


class Piles(BaseModel):
    """The most frequent reason first; reasons of which none is open are left out."""

    reasons: list[Pile]


class ToDiscard(RequestModel):
    """The ids of those to put away."""

    ids: Annotated[list[Annotated[int, Field(ge=1, le=_LARGEST_ID)]], Field(min_length=1, max_length=1000)]


class Discarded(BaseModel):
    """How many were put away just now; those that had been before are not counted again."""

    discarded: int


@dead_letter_piles.get("/dead-letters/reasons")
@endpoint(Scope.DEAD_LETTERS_READ, tag="dead letters", answers={HTTPStatus.OK: Piles})
def list_dead_letter_reasons() -> Piles:
    """Count the open dead letters by reason."""
    piles = count_open_dead_letters(wiring().app.database)
    return Piles(reasons=[Pile.model_validate(pile) for pile in piles])


@dead_letter_piles.post("/dead-letters/discard")
@endpoint(Scope.DEAD_LETTERS_WRITE, tag="dead letters", answers={HTTPStatus.OK: Discarded, HTTPStatus.CONFLICT: None})
def discard_letters(json: ToDiscard) -> Discarded:
    """Put many away, all or none of them: nothing is sent; 409 when one was replayed."""
    app = wiring().app
    try:
        done = discard_dead_letters(app.database, json.ids, by=caller().actor, now=app.clock())
    except NotReplayableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, str(error)) from None
    return Discarded(discarded=len(done))
