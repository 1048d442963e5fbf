"""Show what a notification would say, and to whom it would not go; nothing is stored and nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass

from carenotify.domain.notification import Channel
from carenotify.domain.sms_size import SmsSize, sms_size
from carenotify.domain.wording import Hospital, TemplateVersion, render
from carenotify.journeys.request_notification import NotificationRequester, Wish
from carenotify.storage import templates
from carenotify.storage.database import Database


@dataclass(frozen=True, slots=True)
class PreviewedMessage:
    """One message, worded as it would be sent. `sms` is its size on the network, None on other channels."""

    channel: Channel
    language: str
    subject: str | None
    text: str
    html: str | None
    sms: SmsSize | None

    def __repr__(self) -> str:
        return f"PreviewedMessage(channel={self.channel!r}, ...)"


@dataclass(frozen=True, slots=True)
class Preview:
    """The messages that a wish leads to, or the reason why nobody would be told."""

    reason: str | None
    messages: tuple[PreviewedMessage, ...]


@dataclass(frozen=True, slots=True)
class NotificationPreviewer:
    """Words what would be sent, with the code that sends it."""

    database: Database
    requester: NotificationRequester
    hospital: Hospital

    def preview(self, wish: Wish) -> Preview:
        """What would come of a wish now. Raises PatientUnknownError, WordingError."""
        with self.database.transaction() as transaction:
            reach = self.requester.reach(transaction, wish)
            if reach.reason is not None:
                return Preview(reach.reason, ())
            chosen = self.requester.wordings(transaction, wish, reach)
            versions = templates.by_id(transaction, chosen.values())
        messages = (self._message(channel, versions[chosen[channel]], wish) for channel in reach.channels)
        return Preview(None, tuple(messages))

    def _message(self, channel: Channel, template: TemplateVersion, wish: Wish) -> PreviewedMessage:
        wording = render(template, wish.data, hospital=self.hospital)
        size = sms_size(wording.text) if channel is Channel.SMS else None
        return PreviewedMessage(channel, template.language, wording.subject, wording.text, wording.html, size)
