"""One SMS as Twilio represents it: in answers, in callbacks, and in segments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = set("^{}\\[~]|€\f")


@dataclass(slots=True)
class Message:
    """One accepted message."""

    sid: str
    account_sid: str
    to: str
    sender: str | None
    service_sid: str | None
    body: str
    created: datetime
    status: str = "queued"
    error_code: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Twilio's representation."""
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.sid}"
        moment = format_datetime(self.created)
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": moment,
            "date_sent": None if self.status == "queued" else moment,
            "date_updated": moment,
            "direction": "outbound-api",
            "error_code": self.error_code,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.service_sid,
            "num_media": "0",
            "num_segments": str(segments(self.body)),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


def segments(body: str) -> int:
    """Parts that an SMS is cut into: 160 or 153 GSM-7 characters each, else 70 or 67 UCS-2 ones (3GPP TS 23.038)."""
    letters = set(body)
    if letters <= _GSM | _GSM_EXTENDED:
        length, single, part = len(body) + sum(letter in _GSM_EXTENDED for letter in body), 160, 153
    else:
        length, single, part = len(body.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= single else -(-length // part)


def callback(message: Message, status: str) -> dict[str, str]:
    """Parameters of the callback that tells this status (https://www.twilio.com/docs/messaging/guides/track-outbound-message-status)."""
    parameters = {
        "AccountSid": message.account_sid,
        "ApiVersion": "2010-04-01",
        "From": message.sender or "",
        "To": message.to,
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
    }
    failed = status in {"undelivered", "failed"} and message.error_code is not None
    return parameters | ({"ErrorCode": str(message.error_code)} if failed else {})
