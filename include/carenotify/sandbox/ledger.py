"""What reached the receivers, counted by notification id: the outside witness of loss and duplicates."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 20_000


@dataclass(slots=True)
class Ledger:
    """Counts are never dropped; of what was said, the last KEPT messages of each channel are."""

    times: dict[str, Counter[str]] = field(default_factory=lambda: {"sms": Counter(), "email": Counter()})
    said: dict[str, deque[dict[str, Any]]] = field(
        default_factory=lambda: {"sms": deque(maxlen=KEPT), "email": deque(maxlen=KEPT)}
    )
    without_id: Counter[str] = field(default_factory=Counter)
    arrived: set[str] = field(default_factory=set)
    unanswered: Counter[str] = field(default_factory=Counter)

    def note(self, channel: str, notification_id: str | None, message: dict[str, Any], *, arrives: bool = True) -> None:
        """A receiver took this message. Not all that a provider takes `arrives` at a person."""
        if notification_id:
            self.times[channel][notification_id] += 1
        else:
            self.without_id[channel] += 1
        if notification_id and arrives:
            self.arrived.add(notification_id)
        self.said[channel].append({"channel": channel, "notification_id": notification_id} | message)

    def note_unanswered(self, notification_id: str | None) -> None:
        """A receiver took this message, and whoever sent it will never know."""
        if notification_id:
            self.unanswered[notification_id] += 1

    def counts(self) -> dict[str, dict[str, Any]]:
        """`{notification_id: {"channel", "times"}}`."""
        return {
            notification_id: {"channel": channel, "times": times}
            for channel, counter in self.times.items()
            for notification_id, times in counter.items()
        }

    def messages(self, channel: str, **wanted: str) -> list[dict[str, Any]]:
        """Messages of a channel that have all of these fields, in order of arrival."""
        return [
            message
            for message in self.said[channel]
            if all(message.get(name) == value for name, value in wanted.items())
        ]

    def reset(self) -> None:
        """Forget everything."""
        for counter in (*self.times.values(), self.without_id, self.unanswered):
            counter.clear()
        self.arrived.clear()
        for kept in self.said.values():
            kept.clear()
