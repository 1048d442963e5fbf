"""Where people's answers come in."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from carenotify.api.endpoint import signed_endpoint
from carenotify.api.fields import SendersId
from carenotify.api.signatures import BY_TWILIO
from carenotify.api.wiring import wiring
from carenotify.channels.sms.twilio_replies import read_reply

inbound = Blueprint("inbound", __name__)

# TwiML (https://www.twilio.com/docs/messaging/twiml) that does nothing: Twilio itself answers STOP, START and HELP.
_SAY_NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


class InboundMessage(BaseModel):
    """What is read of a message to our number; Twilio sends more."""

    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")

    sid: SendersId = Field(alias="MessageSid")
    sender: SendersId = Field(alias="From")
    body: str = Field(default="", alias="Body")
    opt_out_type: str | None = Field(default=None, alias="OptOutType")


@inbound.post("/inbound/twilio")
@signed_endpoint(BY_TWILIO, tag="receipts", answers={HTTPStatus.OK: None})
def take_twilio_reply(form: InboundMessage) -> Response:
    """Take in what a person wrote to our number. STOP and START are heeded; everything else is kept, sealed."""
    reply = read_reply(form.sid, sender=form.sender, body=form.body, opt_out_type=form.opt_out_type)
    wiring().app.reply_heeder.heed(reply)
    return Response(_SAY_NOTHING, content_type="text/xml; charset=utf-8")
