"""The message on the wire: ids only, so that no personal data is ever in the broker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from carenotify.domain.notification import Channel, Lane
from carenotify.errors import EnvelopeError

SCHEMA = 1
# Ours have some 160 bytes; what is far longer is nothing to spend time and memory on.
_LONGEST = 4096
# https://www.w3.org/TR/trace-context/#traceparent-header: 55 characters in version 00, more in later ones.
TRACEPARENT = "traceparent"
_LONGEST_TRACEPARENT = 512


@dataclass(frozen=True, slots=True)
class Envelope:
    """One notification's message. `attempt` is the attempt that it asks for; 1 is the first.

    `traceparent` goes along as a header of that name, when somebody traces.
    """

    notification_id: UUID
    kind: str
    channel: Channel
    lane: Lane
    attempt: int
    created_at: datetime
    traceparent: str | None = None

    def encode(self) -> bytes:
        """The body, schema 1."""
        return orjson.dumps(
            {
                "schema": SCHEMA,
                "notification_id": str(self.notification_id),
                "channel": self.channel.value,
                "attempt": self.attempt,
                "created_at": self.created_at.astimezone(UTC).isoformat(),
            }
        )


def decode_traceparent(headers: object) -> str | None:
    """The trace that a message belongs to. Whoever published may have written anything into its headers."""
    found = headers.get(TRACEPARENT) if isinstance(headers, dict) else None
    return found if isinstance(found, str) and len(found) <= _LONGEST_TRACEPARENT else None


def decode_notification_id(body: bytes) -> UUID:
    """The notification that a message is about. Raises EnvelopeError for anything that we did not write."""
    if len(body) > _LONGEST:
        raise EnvelopeError(f"not an envelope of schema {SCHEMA} ({len(body)} bytes)")
    try:
        content: Any = orjson.loads(body)
        if content["schema"] != SCHEMA:
            raise EnvelopeError(f"not an envelope of schema {SCHEMA} (of another one)")  # it may say anything
        return UUID(content["notification_id"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvelopeError(f"not an envelope of schema {SCHEMA} ({type(error).__name__})") from None
