"""Messages that nobody delivered: look at them, send them once more, or put them away. Nothing personal is in them."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Self
from uuid import UUID

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import LARGEST_ID, ReasonName, RequestModel
from carenotify.api.guard import caller
from carenotify.api.problems import ProblemError
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.dead_letter import Refusal, Source
from carenotify.domain.notification import Channel, Status
from carenotify.errors import NotFoundError, NotReplayableError
from carenotify.journeys.discard_dead_letters import discard_dead_letters
from carenotify.journeys.list_dead_letters import list_dead_letters, read_dead_letter
from carenotify.journeys.replay_dead_letters import replay_dead_letter
from carenotify.storage.dead_letters import DeadLetter

dead_letters = Blueprint("dead_letters", __name__)


class Letter(BaseModel):
    """A dead letter. `refusal` says why it cannot be replayed now; null when it can.

    `code` is the provider's own, or the broker's word for why it gave up. `resolution` is `replayed`, `discarded`,
    `fallback` (another message took its place), `told_otherwise` (the patient knows it from another one), or the status
    that a late receipt has proved.
    """

    model_config = ConfigDict(from_attributes=True)

    id: int
    source: Source
    reason: str
    code: str | None
    attempts: int
    created_at: datetime
    queue: str | None
    notification_id: UUID | None
    kind: str | None
    channel: Channel | None
    status: Status | None
    expires_at: datetime | None
    possible_duplicate: bool
    resolved_at: datetime | None
    resolution: str | None
    resolved_by: str | None
    refusal: Refusal | None

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """The letter as it is shown."""
        return cls.model_validate(letter)


class LetterSearch(RequestModel):
    """Conditions that all hold; without `resolved`, only what nobody has settled yet is shown."""

    resolved: bool = False
    source: Source | None = None
    reason: ReasonName | None = None
    channel: Channel | None = None
    cursor: int | None = Field(None, ge=1, le=LARGEST_ID)
    limit: int = Field(50, ge=1, le=200)

    def as_wanted(self) -> dict[str, object]:
        """The conditions by the names that they are stored under."""
        asked = {
            "source": self.source,
            "reasons": None if self.reason is None else [self.reason],
            "channel": self.channel,
            "before": self.cursor,
        }
        return {"is_open": not self.resolved} | {name: value for name, value in asked.items() if value is not None}


class Letters(BaseModel):
    """Newest first. `cursor` brings the next page; null at the end."""

    dead_letters: list[Letter]
    cursor: int | None


@dead_letters.get("/dead-letters")
@endpoint(Scope.DEAD_LETTERS_READ, tag="dead letters", answers={HTTPStatus.OK: Letters})
def list_letters(query: LetterSearch) -> Letters:
    """List dead letters, newest first."""
    app = wiring().app
    with app.list_reads.one():
        page = list_dead_letters(app.database, query.as_wanted(), now=app.clock(), limit=query.limit)
    return Letters(dead_letters=[Letter.of(letter) for letter in page.letters], cursor=page.next)


@dead_letters.get("/dead-letters/<id>")
@endpoint(Scope.DEAD_LETTERS_READ, tag="dead letters", answers={HTTPStatus.OK: Letter})
def get_letter(id: str) -> Letter:  # noqa: A002 - its name in the URL
    """Show one dead letter, and whether it can be replayed."""
    app = wiring().app
    with app.list_reads.one():
        return Letter.of(read_dead_letter(app.database, _number(id), now=app.clock()))


@dead_letters.post("/dead-letters/<id>/replay")
@endpoint(Scope.DEAD_LETTERS_WRITE, tag="dead letters", answers={HTTPStatus.OK: Letter, HTTPStatus.CONFLICT: None})
def replay_letter(id: str) -> Letter:  # noqa: A002 - its name in the URL
    """Send it once more, at once; 409 when it must not be, with the reason."""
    app = wiring().app
    number = _number(id)
    try:
        replay_dead_letter(app.database, number, by=caller().actor, clock=app.clock)
    except NotReplayableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, str(error)) from None
    app.prompt_publisher.wake()
    return Letter.of(read_dead_letter(app.database, number, now=app.clock()))


@dead_letters.delete("/dead-letters/<id>")
@endpoint(
    Scope.DEAD_LETTERS_WRITE, tag="dead letters", answers={HTTPStatus.NO_CONTENT: None, HTTPStatus.CONFLICT: None}
)
def delete_letter(id: str) -> Response:  # noqa: A002 - its name in the URL
    """Put it away: nothing is sent. It stays in the list of those that are resolved; 409 when it was replayed."""
    app = wiring().app
    try:
        discard_dead_letters(app.database, [_number(id)], by=caller().actor, now=app.clock())
    except NotReplayableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, str(error)) from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < len(str(LARGEST_ID)):
        return int(text)
    raise NotFoundError("there is no such dead letter")
