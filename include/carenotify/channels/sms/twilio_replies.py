"""Messages that people send to our number, as Twilio posts them (https://www.twilio.com/docs/messaging/guides/webhook-request)."""

from __future__ import annotations

from carenotify.domain.reply import Reply, ReplyMeaning, meaning_of

# Where a messaging service has opt-out words of its own, Twilio says what it took the message for.
_OPT_OUT_TYPES = {"STOP": ReplyMeaning.STOP, "START": ReplyMeaning.START, "HELP": ReplyMeaning.HELP}


def read_reply(sid: str, *, sender: str, body: str, opt_out_type: str | None = None) -> Reply:
    """A reply. `sender` is a number (E.164), with its channel before it where that is not SMS: whatsapp:+49..."""
    channel, _, number = sender.rpartition(":")
    meaning = _OPT_OUT_TYPES.get((opt_out_type or "").upper()) or meaning_of(body)
    return Reply(sid, channel.lower() or "sms", number, body, meaning)
