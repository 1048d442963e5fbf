"""What comes back from providers and people, and how to tell that it is theirs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from carenotify.config import Settings
from carenotify.journeys.forget_answers import AnswerForgetter
from carenotify.journeys.heed_reply import ReplyHeeder
from carenotify.journeys.look_up_receipts import ReceiptLookUp
from carenotify.journeys.record_receipt import ReceiptRecorder

if TYPE_CHECKING:
    from carenotify.app import App
    from carenotify.channels.email.sns_messages import SnsGate
    from carenotify.channels.sms.twilio_signature import TwilioSignature


def receipt_recorder(app: App) -> ReceiptRecorder:
    """Records what providers say of messages."""
    return ReceiptRecorder(app.database, app.clock, forget_after=timedelta(days=app.settings.receipt_days))


def receipt_look_up(app: App) -> ReceiptLookUp:
    """Asks for the receipts that did not come."""
    return ReceiptLookUp(
        app.database,
        app.providers,
        app.receipt_recorder,
        app.clock,
        after=_look_up_after(app.settings),
        give_up_after=timedelta(days=app.settings.receipt_days),
    )


def _look_up_after(settings: Settings) -> timedelta:
    """A provider is asked before its silence leads to a fallback."""
    asked = timedelta(seconds=settings.look_up_after_seconds)
    fallback = timedelta(minutes=settings.fallback_without_receipt_minutes)
    return min(asked, fallback) if fallback else asked


def answer_forgetter(app: App) -> AnswerForgetter:
    """Lets go of receipts and replies that are old."""
    return AnswerForgetter(app.database, app.clock, keep_for=timedelta(days=app.settings.receipt_keep_days))


def reply_heeder(app: App) -> ReplyHeeder:
    """Heeds what people answer."""
    return ReplyHeeder(app.database, app.clock)


def twilio_signature(app: App) -> TwilioSignature:
    """Checks whether a call to us is Twilio's. Raises SettingsError without CARENOTIFY_TWILIO_AUTH_TOKEN."""
    from carenotify.channels.sms.twilio_signature import TwilioSignature

    return TwilioSignature(app.settings.required("twilio_auth_token").get_secret_value())


def sns_gate(app: App) -> SnsGate:
    """Checks whether a message is Amazon's, and of one of CARENOTIFY_SES_TOPIC_ARNS."""
    from carenotify.channels.email.sns_messages import SnsGate

    return SnsGate(app.settings.ses_topic_arns)
