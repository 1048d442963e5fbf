"""A worker as in production, but for its provider, which takes everything at once."""

from __future__ import annotations

from typing import ClassVar

from carenotify.app import App
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.domain.notification import Channel
from carenotify.worker.__main__ import main


class InstantProvider(Provider):
    name: ClassVar[str] = "instant"
    channel: ClassVar[Channel] = Channel.SMS

    def send(self, message: OutgoingMessage) -> str:
        return f"id-{message.notification_id}"

    def close(self) -> None:
        """Nothing to let go of."""


App.providers = {channel: (InstantProvider(),) for channel in Channel}  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    main(["--channels", "sms"])
