"""SMS through Amazon SNS: a text straight to a number, without a topic.

SNS has no callback and no time limit for a text: what became of it stands in CloudWatch only, so a message stays
`sent`, and one that waits at a carrier may come after its window. A highest price is not set: what would cost more is
dropped there without a word.
"""

from __future__ import annotations

import re
import time
from typing import ClassVar

from carenotify.channels.aws import AwsDoor, open_client
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.channels.sms.sns_codes import REFUSALS
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.errors import (
    AddressRejectedError,
    NotTriedError,
    OptedOutError,
    SettingsError,
    TemporaryDeliveryError,
    UnconfirmedDeliveryError,
)

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
_SENDER_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9-]{1,11}")


class SnsProvider(Provider):
    """`sender` is a number of the account (E.164) or a sender id; without one, AWS chooses.

    `threads` is how many connections are kept open. The account needs the rights sns:Publish and
    sns:CheckIfPhoneNumberIsOptedOut. Raises SettingsError.
    """

    name: ClassVar[str] = "sns"
    channel: ClassVar[Channel] = Channel.SMS

    def __init__(
        self,
        *,
        sender: str | None = None,
        threads: int = 16,
        timeout_seconds: float = 10.0,
        clock: Clock = system_clock,
    ) -> None:
        self._attributes = {"AWS.SNS.SMS.SMSType": "Transactional", **_from(sender)}
        self._client = open_client("sns", connections=threads, timeout_seconds=timeout_seconds)
        self._door = AwsDoor(self._client, REFUSALS, clock)

    def send(self, message: OutgoingMessage) -> str:
        """Hand one SMS over and return SNS' id of it.

        SNS takes a text to a number that has said STOP and drops it silently, so it is asked first.
        """
        if not _NUMBER.fullmatch(message.to):
            raise AddressRejectedError("malformed-number")
        self._refuse_opted_out(message.to)
        if time.monotonic() >= message.deadline:
            raise NotTriedError("too-slow")
        attributes = self._attributes | {"notification_id": str(message.notification_id)}
        answer = self._door.hand_over(
            "publish",
            PhoneNumber=message.to,
            Message=message.text,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )
        if not answer.get("MessageId"):
            raise UnconfirmedDeliveryError("unreadable-answer")
        return str(answer["MessageId"])

    def close(self) -> None:
        """Let go of the kept connections."""
        self._client.close()

    def _refuse_opted_out(self, number: str) -> None:
        answer = self._door.ask("check_if_phone_number_is_opted_out", phoneNumber=number)
        if "isOptedOut" not in answer:
            raise TemporaryDeliveryError("unreadable-answer")
        if answer["isOptedOut"]:
            raise OptedOutError("opted-out")


def _from(sender: str | None) -> dict[str, str]:
    if sender is None:
        return {}
    if _NUMBER.fullmatch(sender):
        return {"AWS.MM.SMS.OriginationNumber": sender}
    if _SENDER_ID.fullmatch(sender):
        return {"AWS.SNS.SMS.SenderID": sender}
    raise SettingsError(
        "CARENOTIFY_SNS_FROM: has to be a number such as +4930123456, or up to 11 letters, digits and hyphens"
    )
