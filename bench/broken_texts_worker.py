"""A worker as in production, but for its providers: mail is taken at once, and no text is."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from bench.instant_worker import InstantProvider
from carenotify.app import App
from carenotify.channels.base import OutgoingMessage, Provider
from carenotify.domain.notification import Channel
from carenotify.errors import TemporaryDeliveryError
from carenotify.worker.__main__ import main


class BrokenProvider(Provider):
    name: ClassVar[str] = "broken"
    channel: ClassVar[Channel] = Channel.SMS

    def send(self, message: OutgoingMessage) -> NoReturn:  # noqa: ARG002 - the promise
        raise TemporaryDeliveryError("503")

    def close(self) -> None:
        """Nothing to let go of."""


App.providers = {Channel.EMAIL: (InstantProvider(),), Channel.SMS: (BrokenProvider(),)}  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    main(["--channels", "all"])
