"""Whether a call to us comes from Twilio (https://www.twilio.com/docs/usage/security#validating-requests)."""

from __future__ import annotations

from collections.abc import Mapping


class TwilioSignature:
    """Checks X-Twilio-Signature with the account's auth token, by the SDK's own validator."""

    def __init__(self, auth_token: str) -> None:
        from twilio.request_validator import RequestValidator

        self._validator = RequestValidator(auth_token)

    def fits(self, url: str, form: Mapping[str, str], signature: str) -> bool:
        """Whether it was made for this URL, as Twilio called it, and for these parameters.

        The comparison looks at every character, so that its time tells nothing.
        """
        return bool(self._validator.validate(url, form, signature))
