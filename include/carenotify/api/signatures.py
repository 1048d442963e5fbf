"""How providers show that a request is theirs: Twilio by its auth token, Amazon SNS by its certificate."""

from __future__ import annotations

from flask import request

from carenotify.api.endpoint import TWILIO, Signature
from carenotify.api.wiring import wiring
from carenotify.channels.email.sns_messages import SnsMessage
from carenotify.errors import SettingsError, SignatureUncheckedError

_FORM = "application/x-www-form-urlencoded"


def public_url() -> str:
    """The URL of this request as its sender wrote it, whatever proxies have made of it on its way."""
    base = wiring().app.settings.public_url.rstrip("/")
    query = request.query_string.decode("ascii", "replace")
    return f"{base}{request.path}?{query}" if query else f"{base}{request.path}"


def _is_twilios() -> bool:
    given = request.headers.get("X-Twilio-Signature", "")
    if request.mimetype != _FORM or not given:
        return False
    try:
        signature = wiring().app.twilio_signature
    except SettingsError as error:
        raise SignatureUncheckedError(str(error)) from None
    return signature.fits(public_url(), request.form, given)


def _is_amazons() -> bool:
    message = SnsMessage.parse(request.get_data())
    return message is not None and wiring().app.sns_gate.admits(message)


BY_TWILIO = Signature(_is_twilios, scheme=TWILIO)
# It stands in the body, which is nothing that OpenAPI has a scheme for.
BY_AMAZON_SNS = Signature(_is_amazons)
