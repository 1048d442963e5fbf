"""The promise that every provider of every channel keeps."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from carenotify.domain.notification import Channel


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to one address, worded. `repr` shows no personal data.

    `deadline` is a moment of time.monotonic() after which no provider may begin to hand the message over: its claim
    would run out meanwhile, and somebody else would send it too. `expires_at` is when the message may no more reach the
    person, for providers that can hold to it; `urgent` ones must not wait behind bulk.
    """

    notification_id: UUID
    attempt: int
    to: str
    subject: str | None
    text: str
    html: str | None
    language: str
    deadline: float = math.inf
    expires_at: datetime | None = None
    urgent: bool = False

    def __repr__(self) -> str:
        return f"OutgoingMessage(notification_id={self.notification_id}, attempt={self.attempt})"


@dataclass(frozen=True, slots=True)
class Found:
    """A provider's own word for how a message stands, and its error's code. `code` is None when nothing went wrong."""

    provider_status: str
    code: str | None


class Provider(ABC):
    """Takes one message to the outside world. Safe to call from many threads at once; connects on first use."""

    name: ClassVar[str]
    channel: ClassVar[Channel]
    # Whether it can be asked later what became of a message.
    looks_up: ClassVar[bool] = False

    @abstractmethod
    def send(self, message: OutgoingMessage) -> str:
        """Hand over one message and return the provider's own id of it.

        The provider accepted when this returns. Raises a DeliveryError otherwise, never anything else: which subclass
        says whether to try again, slow down, leave the address alone or give the message up.
        """

    def look_up(self, provider_message_id: str) -> Found | None:
        """What became of a message that was accepted; None when the provider does not know it.

        Only where `looks_up` says so. Raises a DeliveryError when it cannot be asked now, never anything else.
        """
        raise NotImplementedError(f"{self.name} cannot be asked for {provider_message_id}")

    @abstractmethod
    def close(self) -> None:
        """Let go of connections. No call comes after it."""
