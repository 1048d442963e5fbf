"""Make rows of what a patient is told: the same thing on every channel, each in a wording of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import uuid6
from pydantic import BaseModel

from carenotify.domain.appointment import Appointment
from carenotify.domain.kinds import Kind
from carenotify.domain.notification import Channel, Lane
from carenotify.journeys.choose_wording import Wordings
from carenotify.storage.notifications import NewNotification


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What one patient is told, due from `due_at` until `expires_at`.

    `identity` tells it from all else of its kind: the same one is stored once for each channel. `languages` are those
    that the patient reads, best first. No `lane` means the kind's own. `reason` says what the rows wait for, when they
    do not only wait for their time.
    """

    kind: Kind
    identity: str
    patient_id: str
    data: BaseModel
    due_at: datetime
    expires_at: datetime
    created_at: datetime
    appointments: tuple[Appointment, ...] = ()
    languages: tuple[str | None, ...] = ()
    lane: Lane | None = None
    reason: str | None = None

    def on_each(self, channels: Iterable[Channel], wordings: Wordings) -> list[NewNotification]:
        """A row for each channel, in the patient's language as far as there is a wording in it."""
        return [self.on(channel, template_version_id=wordings.choose(channel, *self.languages)) for channel in channels]

    def on(self, channel: Channel, *, template_version_id: int) -> NewNotification:
        """The row for one channel, pinned to one version of its wording."""
        return NewNotification(
            id=uuid6.uuid7(),
            digest_key=f"{self.kind.name}:{self.identity}:{channel.value}",
            kind=self.kind.name,
            lane=self.lane or self.kind.lane,
            channel=channel,
            patient_id=self.patient_id,
            due_at=self.due_at,
            expires_at=self.expires_at,
            template_version_id=template_version_id,
            data=self.data.model_dump(mode="json"),
            created_at=self.created_at,
            appointments=self.appointments,
            reason=self.reason,
        )
