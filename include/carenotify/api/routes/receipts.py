"""Where providers tell what became of messages."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from carenotify.api.endpoint import signed_endpoint
from carenotify.api.fields import SendersId
from carenotify.api.problems import ProblemError
from carenotify.api.signatures import BY_AMAZON_SNS, BY_TWILIO
from carenotify.api.wiring import wiring
from carenotify.channels.email.ses_receipts import read_event
from carenotify.channels.email.sns_messages import SnsMessage
from carenotify.channels.sms.twilio_receipts import receipt_of

log = logging.getLogger(__name__)

receipts = Blueprint("receipts", __name__)


class OfNotification(BaseModel):
    """Which notification it is about: we put its id into the URL when we hand the message over."""

    model_config = ConfigDict(hide_input_in_errors=True)

    notification_id: UUID


class StatusCallback(BaseModel):
    """What is read of Twilio's status callback; it has more."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")

    sid: SendersId = Field(alias="MessageSid")
    status: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_-]{1,40}$")] = Field(alias="MessageStatus")
    error_code: str | None = Field(default=None, alias="ErrorCode")
    to: str | None = Field(default=None, alias="To")


class AmazonMessage(BaseModel):
    """A message of Amazon SNS. It is signed by three of its members, and not by a header.

    `Message` holds SES' event as JSON; `SubscribeURL` and `Token` come with the question whether we subscribe.
    """

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"] = Field(alias="Type")
    message_id: str = Field(alias="MessageId")
    topic_arn: str = Field(alias="TopicArn")
    message: str = Field(alias="Message")
    timestamp: str = Field(alias="Timestamp")
    signature_version: Literal["1", "2"] = Field(alias="SignatureVersion")
    signature: str = Field(alias="Signature")
    signing_cert_url: str = Field(alias="SigningCertURL")
    subject: str | None = Field(None, alias="Subject")
    subscribe_url: str | None = Field(None, alias="SubscribeURL")
    token: str | None = Field(None, alias="Token")


@receipts.post("/receipts/twilio")
@signed_endpoint(BY_TWILIO, tag="receipts", answers={HTTPStatus.NO_CONTENT: None})
def take_twilio_receipt(query: OfNotification, form: StatusCallback) -> Response:
    """Take in a status callback of Twilio's. Late, early, twice and in any order are all the same to us."""
    receipt = receipt_of(query.notification_id, form.sid, word=form.status, code=form.error_code, address=form.to)
    wiring().app.receipt_recorder.record([receipt])
    return Response(status=HTTPStatus.NO_CONTENT)


@receipts.post("/receipts/ses")
@signed_endpoint(BY_AMAZON_SNS, tag="receipts", answers={HTTPStatus.NO_CONTENT: None}, body=AmazonMessage)
def take_ses_receipt() -> Response:
    """Take in what Amazon SNS brings: an event of a mail that SES sent, or the question whether we want such events.

    The message is signed in its body. Events of mails that are not ours are passed over.
    """
    message = SnsMessage.parse(request.get_data())
    if message is not None and message.type == "Notification":
        _take_event(message)
    elif message is not None:
        _take_subscription(message)
    return Response(status=HTTPStatus.NO_CONTENT)


def _take_event(message: SnsMessage) -> None:
    receipt = read_event(message.content)
    if receipt is not None:
        wiring().app.receipt_recorder.record([receipt])


def _take_subscription(message: SnsMessage) -> None:
    if message.type == "UnsubscribeConfirmation":
        log.warning("the subscription of %s has ended: what becomes of mails is not told any more", message.topic)
    elif wiring().app.sns_gate.confirm(message):
        log.info("the subscription of %s is confirmed", message.topic)
    else:
        raise ProblemError(HTTPStatus.BAD_GATEWAY, "The subscription could not be confirmed.")
