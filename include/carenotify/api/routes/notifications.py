"""Ask for a notification, see what became of it, and stop it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from carenotify.api.endpoint import endpoint
from carenotify.api.fields import FhirId, Instant, QueryInstant, ReasonName, RequestModel, SendersId
from carenotify.api.guard import caller
from carenotify.api.problems import ProblemError, invalid, wrong_field
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel, Lane, Status
from carenotify.domain.window import local_day
from carenotify.errors import NotCancellableError, NotFoundError, PatientUnknownError
from carenotify.journeys.cancel_notification import cancel_notification
from carenotify.journeys.read_notifications import Reader, ReadStory, read_page, read_story
from carenotify.journeys.request_notification import REQUESTABLE, Requested, Wish

notifications = Blueprint("notifications", __name__)

_FURTHEST = timedelta(days=400)
KindName = StrEnum("KindName", {name.upper(): name for name in KINDS})  # type: ignore[misc]
_READ = (Scope.NOTIFICATIONS_READ, Scope.NOTIFICATIONS_READ_MASKED)


class NewNotification(RequestModel):
    """What is to be told to whom. `user` is the patient's id; `data` is what the type's wording needs."""

    type: Annotated[str, Field(json_schema_extra={"enum": sorted(REQUESTABLE)})]
    user: FhirId
    data: dict[str, Any]
    schedule_at: Instant | None = None
    channels: Annotated[list[Channel], Field(min_length=1, max_length=10)] | None = None
    priority: Lane | None = None

    @field_validator("type")
    @classmethod
    def _can_be_asked_for(cls, type_: str) -> str:
        if type_ not in REQUESTABLE:
            raise ValueError(f"is not one of the types that can be asked for: {', '.join(sorted(REQUESTABLE))}")
        return type_

    def as_wish(self, *, now: datetime) -> Wish:
        """The request in our own terms. Raises ProblemError 422."""
        kind = REQUESTABLE[self.type]
        if self.schedule_at is not None and self.schedule_at > now + _FURTHEST:
            raise wrong_field("schedule_at", f"is more than {_FURTHEST.days} days ahead")
        try:
            data = kind.data.model_validate(self.data)
        except ValidationError as error:
            raise invalid(error, within="data") from None
        return Wish(kind, self.user, data, self.schedule_at, tuple(dict.fromkeys(self.channels or ())), self.priority)


class RepeatableHeaders(BaseModel):
    """The same key with the same body gets the same answer, however often it is sent."""

    key: SendersId = Field(alias="Idempotency-Key")


class RequestOutcome(StrEnum):
    """What came of a request that was accepted."""

    ACCEPTED = "accepted"
    NOT_TOLD = "not_told"


class RequestedNotifications(BaseModel):
    """One notification for each channel; none, with the reason, when the patient cannot or will not be told."""

    notification_ids: list[UUID]
    outcome: RequestOutcome
    reason: str | None = Field(None, exclude_if=lambda reason: reason is None)

    @classmethod
    def of(cls, requested: Requested) -> Self:
        """The answer to a request."""
        outcome = RequestOutcome.NOT_TOLD if requested.reason else RequestOutcome.ACCEPTED
        return cls(notification_ids=list(requested.notification_ids), outcome=outcome, reason=requested.reason)


class Notification(BaseModel):
    """How a notification stands. It took the place of `fallback_of`, and `fallback_id` took its place."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: str
    channel: Channel
    priority: Lane
    patient_id: str
    appointment_ids: list[str]
    status: Status
    reason: str | None
    attempts: int
    created_at: datetime
    due_at: datetime
    expires_at: datetime
    queued_at: datetime | None
    finished_at: datetime | None
    provider: str | None
    provider_message_id: str | None
    error_code: str | None
    possible_duplicate: bool
    fallback_of: UUID | None
    fallback_id: UUID | None


class Attempt(BaseModel):
    """One try to send it. `code` is the provider's own."""

    model_config = ConfigDict(from_attributes=True)

    attempt: int
    provider: str | None
    outcome: str
    code: str | None
    finished_at: datetime


class Receipt(BaseModel):
    """What a provider said of it afterwards. `provider_status` is the provider's word, `status` what it means."""

    model_config = ConfigDict(from_attributes=True)

    provider: str
    provider_message_id: str
    provider_status: str
    status: Status | None
    code: str | None
    received_at: datetime


class Change(BaseModel):
    """What somebody did to it by hand, or to one of its dead letters."""

    model_config = ConfigDict(from_attributes=True)

    happened_at: datetime
    actor: str
    action: str


class NotificationStory(Notification):
    """A notification from its cause to its end. What it tells is masked for those who may not read it.

    `recipient` is the address that it went to, or would go to now, such as `+49 ••• 678` for those who may not read it;
    null when that is not known.
    """

    event_id: str | None
    superseded_by: list[UUID]
    story: list[Attempt]
    receipts: list[Receipt]
    changes: list[Change]
    recipient: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, read: ReadStory) -> Self:
        """The story as it is shown."""
        story = read.story
        return cls(
            **Notification.model_validate(story.state).model_dump(),
            event_id=story.event_id,
            superseded_by=list(story.superseded_by),
            story=[Attempt.model_validate(each) for each in story.tries],
            receipts=[Receipt.model_validate(each) for each in story.receipts],
            changes=[Change.model_validate(each) for each in story.changes],
            recipient=read.recipient,
            data=story.data,
        )


class Search(RequestModel):
    """Conditions that all hold. `from` and `to` bound when a notification was made; `to` itself is left out."""

    patient_id: FhirId | None = None
    appointment_id: FhirId | None = None
    kind: KindName | None = None
    status: Status | None = None
    reason: ReasonName | None = None
    channel: Channel | None = None
    since: QueryInstant | None = Field(None, alias="from")
    until: QueryInstant | None = Field(None, alias="to")
    before: UUID | None = Field(None, alias="cursor")
    limit: int = Field(50, ge=1, le=200)


class Notifications(BaseModel):
    """Newest first. `cursor` brings the next page; null at the end, and only there: a page may hold few, or none."""

    notifications: list[Notification]
    cursor: UUID | None


@notifications.post("/notifications")
@endpoint(Scope.NOTIFICATIONS_WRITE, tag="notifications", answers={HTTPStatus.ACCEPTED: RequestedNotifications})
def create_notification(json: NewNotification, headers: RepeatableHeaders) -> tuple[RequestedNotifications, int]:
    """Ask for a notification, now or at a later time."""
    app = wiring().app
    try:
        requested = app.notification_requester.request(
            json.as_wish(now=app.clock()),
            caller=caller().actor,
            key=headers.key,
            body=json.model_dump(mode="json", exclude_none=True),
        )
    except PatientUnknownError:
        raise wrong_field("user", "is not a patient who is known here") from None
    if requested.notification_ids:
        app.prompt_publisher.wake()
    return RequestedNotifications.of(requested), HTTPStatus.ACCEPTED


@notifications.get("/notifications")
@endpoint(*_READ, tag="notifications", answers={HTTPStatus.OK: Notifications})
def list_notifications(query: Search) -> Notifications:
    """List notifications, newest first."""
    wanted = query.model_dump(exclude_none=True, exclude={"limit"})
    app = wiring().app
    with app.list_reads.one():
        page = read_page(app.database, wanted, limit=query.limit)
    return Notifications(notifications=[Notification.model_validate(state) for state in page.states], cursor=page.next)


@notifications.get("/notifications/<id>")
@endpoint(*_READ, tag="notifications", answers={HTTPStatus.OK: NotificationStory})
def get_notification(id: str) -> NotificationStory:  # noqa: A002 - its name in the URL
    """Tell a notification's story: its cause, its attempts, and how it stands."""
    app = wiring().app
    now = app.clock()
    reader = Reader(caller().actor, masked=Scope.NOTIFICATIONS_READ not in caller().scopes)
    today = local_day(now, app.settings.timezone)
    with app.list_reads.one():
        return NotificationStory.of(read_story(app.database, _uuid(id), reader, now=now, today=today))


@notifications.delete("/notifications/<id>")
@endpoint(
    Scope.NOTIFICATIONS_WRITE, tag="notifications", answers={HTTPStatus.NO_CONTENT: None, HTTPStatus.CONFLICT: None}
)
def delete_notification(id: str) -> Response:  # noqa: A002 - its name in the URL
    """Cancel a notification that nobody has begun to send; 409 when it is too late."""
    app = wiring().app
    try:
        cancel_notification(app.database, _uuid(id), by=caller().actor, now=app.clock())
    except NotCancellableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, f"It is {error.status}, which cannot be cancelled.") from None
    return Response(status=HTTPStatus.NO_CONTENT)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError("there is no such notification") from None
