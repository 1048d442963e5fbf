"""Stop and go on sending."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import BaseModel

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import RequestModel
from carenotify.api.guard import caller
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.notification import Channel
from carenotify.journeys.pause_sending import pause_sending, resume_sending
from carenotify.storage.pauses import paused_channels

pausing = Blueprint("pauses", __name__)


class Pause(RequestModel):
    """One channel, or all of them: null. It has to be said, so that nobody stops everything by leaving it out."""

    channel: Channel | None


class Paused(BaseModel):
    """The channels that nothing is sent on now."""

    paused: list[Channel]


@pausing.post("/pause")
@endpoint(Scope.PAUSE_WRITE, tag="pauses", answers={HTTPStatus.OK: Paused})
def pause(json: Pause) -> Paused:
    """Stop sending, within a second.

    What is being sent is finished; everything else waits where it is. Saying it twice changes nothing.
    """
    app = wiring().app
    with app.database.transaction() as transaction:
        pause_sending(transaction, json.channel, by=caller().actor, now=app.clock())
        return Paused(paused=sorted(paused_channels(transaction)))


@pausing.post("/resume")
@endpoint(Scope.PAUSE_WRITE, tag="pauses", answers={HTTPStatus.OK: Paused})
def resume(json: Pause) -> Paused:
    """Go on sending. Null lifts every pause; a channel lifts its own, and not one that is on all channels."""
    app = wiring().app
    with app.database.transaction() as transaction:
        resume_sending(transaction, json.channel, by=caller().actor, now=app.clock())
        return Paused(paused=sorted(paused_channels(transaction)))
