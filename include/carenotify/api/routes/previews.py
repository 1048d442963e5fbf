"""What a message asked for by hand would say, before anybody sends it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Self

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field, RootModel

from carenotify.api.endpoint import endpoint
from carenotify.api.problems import ProblemError, wrong_field
from carenotify.api.routes.notifications import NewNotification
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.kinds import Kind
from carenotify.domain.notification import Channel
from carenotify.errors import PatientUnknownError, WordingError
from carenotify.journeys.preview_notification import Preview
from carenotify.journeys.request_notification import REQUESTABLE

previews = Blueprint("previews", __name__)


class RequestableKind(BaseModel):
    """A type of notification that can be asked for; `data_schema` is the JSON Schema of its `data`."""

    type: str
    title: str
    data_schema: dict[str, Any]
    channels: list[Channel]

    @classmethod
    def of(cls, kind: Kind) -> Self:
        """The kind as it is shown."""
        title = kind.name.replace("_", " ").capitalize()
        return cls(type=kind.name, title=title, data_schema=kind.data.model_json_schema(), channels=list(kind.channels))


class RequestableKinds(RootModel[list[RequestableKind]]):
    """Every type that can be asked for."""


class SmsLength(BaseModel):
    """How long an SMS is as the network counts: `characters` of its alphabet, and the segments that are paid for."""

    model_config = ConfigDict(from_attributes=True)

    alphabet: str
    characters: int
    segments: int


class PreviewedNotification(BaseModel):
    """A message as it would be sent. `html` is there only for mails that have it, `sms` is null for mails."""

    model_config = ConfigDict(from_attributes=True)

    channel: Channel
    language: str
    subject: str | None
    text: str
    html: str | None = Field(None, exclude_if=lambda html: html is None)
    sms: SmsLength | None


class NotificationPreview(BaseModel):
    """What would be sent; nothing, with the reason, when the patient cannot or will not be told."""

    reason: str | None
    messages: list[PreviewedNotification]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        """The preview as it is shown."""
        messages = [PreviewedNotification.model_validate(message) for message in preview.messages]
        return cls(reason=preview.reason, messages=messages)


@previews.get("/kinds")
@endpoint(Scope.NOTIFICATIONS_WRITE, tag="notifications", answers={HTTPStatus.OK: RequestableKinds})
def list_kinds() -> RequestableKinds:
    """List what can be asked for by hand or by another system, and what each type needs."""
    return RequestableKinds([RequestableKind.of(kind) for kind in REQUESTABLE.values()])


@previews.post("/notifications/preview")
@endpoint(
    Scope.NOTIFICATIONS_WRITE,
    tag="notifications",
    answers={HTTPStatus.OK: NotificationPreview, HTTPStatus.CONFLICT: None},
)
def preview_notification(json: NewNotification) -> NotificationPreview:
    """Show what a request would send, to the letter. Nothing is stored and nothing is sent.

    409 when there is no wording for it, or one that its data does not fit.
    """
    app = wiring().app
    try:
        return NotificationPreview.of(app.notification_previewer.preview(json.as_wish(now=app.clock())))
    except PatientUnknownError:
        raise wrong_field("user", "is not a patient who is known here") from None
    except WordingError as error:
        raise ProblemError(HTTPStatus.CONFLICT, f"It cannot be worded: {error}.") from None
