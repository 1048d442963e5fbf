"""Dead letters by the pile: how many of each reason wait for somebody, and many sent again or put away at once."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import LARGEST_ID, ReasonName, RequestModel
from carenotify.api.guard import caller
from carenotify.api.problems import ProblemError
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.notification import Channel
from carenotify.errors import NotReplayableError
from carenotify.journeys.discard_dead_letters import discard_dead_letters
from carenotify.journeys.list_dead_letters import count_open_dead_letters
from carenotify.journeys.replay_dead_letters import replay_dead_letters, replay_matching

dead_letter_piles = Blueprint("dead_letter_piles", __name__)

_MOST_AT_ONCE = 10_000
LetterIds = Annotated[list[Annotated[int, Field(ge=1, le=LARGEST_ID)]], Field(min_length=1, max_length=1000)]


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

    ids: LetterIds


class Discarded(BaseModel):
    """How many were put away just now; those that had been before are not counted again."""

    discarded: int


class ToReplay(RequestModel):
    """Which ones to send once more: those of these `ids`; or the oldest open ones of `reasons`, up to `most`.

    With `reasons`, `channel` limits them to one channel. No `most` means 10,000, which is as many as one call takes.
    """

    ids: LetterIds | None = None
    reasons: Annotated[list[ReasonName], Field(min_length=1, max_length=50)] | None = None
    channel: Channel | None = None
    most: int | None = Field(None, ge=1, le=_MOST_AT_ONCE)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.ids is None) == (self.reasons is None):
            raise ValueError("say which: either ids or reasons")
        if self.ids is not None and (self.channel, self.most) != (None, None):
            raise ValueError("channel and most go with reasons, not with ids")
        return self


class Replayed(RootModel[dict[str, int]]):
    """How many were `replayed`; and how many were refused, by the reason of the refusal."""


@dead_letter_piles.get("/dead-letters/reasons")
@endpoint(Scope.DEAD_LETTERS_READ, tag="dead letters", answers={HTTPStatus.OK: Piles})
def list_dead_letter_reasons() -> Piles:
    """Count the open dead letters by reason."""
    app = wiring().app
    with app.list_reads.one():
        piles = count_open_dead_letters(app.database)
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


@dead_letter_piles.post("/dead-letters/replay")
@endpoint(Scope.DEAD_LETTERS_WRITE, tag="dead letters", answers={HTTPStatus.OK: Replayed})
def replay_letters(json: ToReplay) -> Replayed:
    """Send many once more, at once. What must not be sent stays as it is, and is counted by the reason why."""
    app, by = wiring().app, caller().actor
    if json.ids is not None:
        outcome = replay_dead_letters(app.database, json.ids, by=by, clock=app.clock)
    else:
        most = json.most or _MOST_AT_ONCE
        outcome = replay_matching(
            app.database, reasons=json.reasons, channel=json.channel, most=most, by=by, clock=app.clock
        )
    if outcome.replayed:
        app.prompt_publisher.wake()
    return Replayed(outcome.summary())
