"""E-mail through Amazon SES, API v2."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from carenotify.channels.aws import AwsDoor, open_client
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.channels.email.compose import Sender, compose_mail, envelope_address
from carenotify.channels.email.ses_codes import REFUSALS
from carenotify.domain.clock import Clock, system_clock
from carenotify.domain.notification import Channel
from carenotify.errors import NotTriedError, UnconfirmedDeliveryError


class SesProvider(Provider):
    """`sender` as in CARENOTIFY_EMAIL_FROM, verified in SES. Raises SettingsError when AWS cannot be used with it.

    `configuration_set` names the one whose events (delivery, bounce, complaint) come to us; without it SES tells
    nothing. `threads` is how many connections are kept open. The account needs the rights ses:SendEmail and
    ses:SendRawEmail.
    """

    name: ClassVar[str] = "ses"
    channel: ClassVar[Channel] = Channel.EMAIL

    def __init__(
        self,
        sender: str,
        *,
        configuration_set: str | None = None,
        threads: int = 16,
        timeout_seconds: float = 10.0,
        clock: Clock = system_clock,
    ) -> None:
        self._sender = Sender.parse(sender)
        self._events = {} if configuration_set is None else {"ConfigurationSetName": configuration_set}
        self._client = open_client("sesv2", connections=threads, timeout_seconds=timeout_seconds)
        self._door = AwsDoor(self._client, REFUSALS, clock)
        self._clock = clock

    def send(self, message: OutgoingMessage) -> str:
        """Hand one mail over and return SES' id of it, which is also the left part of the Message-ID that SES gives it.

        No FromEmailAddress is told: SES would write it over our From header, and the sender's name would be lost.
        """
        to = envelope_address(message.to)
        content = compose_mail(message, self._sender, to, self._clock())
        if time.monotonic() >= message.deadline:
            raise NotTriedError("too-slow")
        answer: dict[str, Any] = self._door.hand_over(
            "send_email",
            Destination={"ToAddresses": [to]},
            Content={"Raw": {"Data": content}},
            EmailTags=[{"Name": "notification_id", "Value": str(message.notification_id)}],
            **self._events,
        )
        if not answer.get("MessageId"):
            raise UnconfirmedDeliveryError("unreadable-answer")
        return str(answer["MessageId"])

    def close(self) -> None:
        """Let go of the kept connections."""
        self._client.close()
