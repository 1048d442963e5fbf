"""Take in a notification that another system asks for: once for each of its keys, now or for later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from carenotify.config import Settings
from carenotify.domain.clock import Clock
from carenotify.domain.kinds import MESSAGE, Kind
from carenotify.domain.notification import Channel, Lane
from carenotify.domain.patient import Patient, addresses, channels_for
from carenotify.domain.schedule import UNREADABLE, without_addresses
from carenotify.domain.window import local_day
from carenotify.errors import EventConflictError, PatientUnknownError
from carenotify.journeys.choose_wording import Wordings
from carenotify.journeys.tell_patient import Telling
from carenotify.storage import idempotency, notifications
from carenotify.storage.database import Database, Transaction
from carenotify.storage.idempotency import KeyedRequest
from carenotify.storage.notifications import NewNotification
from carenotify.storage.recipients import Recipient, read_recipient

# Reminders and changes follow from appointments; nobody asks for one.
REQUESTABLE: dict[str, Kind] = {MESSAGE.name: MESSAGE}

# How long after its time a message is still worth sending.
_GOOD_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. No `due_at` means now, no `channels` as the patient wants, no `lane` as the kind has."""

    kind: Kind
    patient_id: str
    data: BaseModel
    due_at: datetime | None = None
    channels: tuple[Channel, ...] = ()
    lane: Lane | None = None


@dataclass(frozen=True, slots=True)
class Requested:
    """What comes of a wish: notifications, or the reason why there are none."""

    notification_ids: tuple[UUID, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a wish reaches, and on which channels; or the reason why nobody is told."""

    recipient: Recipient
    channels: tuple[Channel, ...]
    reason: str | None

    @property
    def languages(self) -> tuple[str | None, ...]:
        """The languages that the recipient reads, best first."""
        return (self.recipient.preferences.language, self.recipient.patient.language)


@dataclass(frozen=True, slots=True)
class NotificationRequester:
    """Takes in wishes. The same one under the same key gets the same answer, also at the same moment."""

    database: Database
    settings: Settings
    clock: Clock

    def request(self, wish: Wish, *, caller: str, key: str, body: Mapping[str, Any]) -> Requested:
        """Insert the notifications that the wish leads to.

        Raises EventConflictError when the caller's key came with another body, PatientUnknownError when nobody has
        copied the patient; the key stays free then.
        """
        keyed = KeyedRequest(caller, key, self.database.sealer.fingerprint(dict(body)))
        with self.database.transaction() as transaction:
            earlier = idempotency.take(transaction, keyed, now=self.clock())
            if earlier is None:
                return self._fulfil(transaction, wish, keyed)
        if earlier.body_hash != keyed.body_hash:
            raise EventConflictError("an idempotency key came with another body")
        return Requested(earlier.notification_ids, earlier.reason)

    def reach(self, transaction: Transaction, wish: Wish) -> Reach:
        """Whom a wish would reach now. Raises PatientUnknownError."""
        recipient = read_recipient(transaction, wish.patient_id, sealer=self.database.sealer)
        if recipient is None:
            raise PatientUnknownError("a notification was asked for a patient who is not known here")
        today = local_day(self.clock(), self.settings.timezone)
        channels = self._channels(wish, recipient, today)
        return Reach(recipient, channels, _why_not(wish, recipient, channels, today))

    def wordings(self, transaction: Transaction, wish: Wish, reach: Reach) -> dict[Channel, int]:
        """The id of the version that words it, for each channel that it goes out on. Raises WordingError."""
        known = Wordings.of(transaction, wish.kind, default_language=self.settings.default_language)
        return {channel: known.choose(channel, *reach.languages) for channel in reach.channels}

    def _fulfil(self, transaction: Transaction, wish: Wish, keyed: KeyedRequest) -> Requested:
        reach = self.reach(transaction, wish)
        rows = [] if reach.reason else self._rows(transaction, wish, reach, keyed)
        notifications.insert(transaction, rows, sealer=self.database.sealer)
        ids = tuple(row.id for row in rows)
        idempotency.settle(transaction, keyed, notification_ids=ids, reason=reach.reason)
        return Requested(ids, reach.reason)

    def _channels(self, wish: Wish, recipient: Recipient, today: date) -> tuple[Channel, ...]:
        wanted = wish.channels or recipient.preferences.channels
        preferences = replace(recipient.preferences, channels=wanted)
        found = channels_for(_reachable(recipient), preferences, self.settings.default_channels, today)
        return tuple(channel for channel in found if channel in (wish.channels or wish.kind.channels))

    def _rows(self, transaction: Transaction, wish: Wish, reach: Reach, keyed: KeyedRequest) -> list[NewNotification]:
        now = self.clock()
        due_at = max(now, wish.due_at or now)
        telling = Telling(
            kind=wish.kind,
            identity=_digest(keyed),
            patient_id=reach.recipient.patient.id,
            data=wish.data,
            due_at=due_at,
            expires_at=due_at + _GOOD_FOR,
            created_at=now,
            lane=wish.lane,
        )
        chosen = self.wordings(transaction, wish, reach)
        return [telling.on(channel, template_version_id=chosen[channel]) for channel in reach.channels]


def _why_not(wish: Wish, recipient: Recipient, channels: tuple[Channel, ...], today: date) -> str | None:
    if recipient.patient.deceased:
        return "deceased"
    if recipient.preferences.opted_out_kinds & {wish.kind.name, "*"}:
        return "opted_out"
    if recipient.unreadable:
        return UNREADABLE
    if channels:
        return None
    if not recipient.patient.contacts:
        return "no_contact"
    asked = wish.channels or wish.kind.channels
    usable = any(addresses(_reachable(recipient), channel, today) for channel in asked)
    return "opted_out" if usable else "no_usable_address"


def _reachable(recipient: Recipient) -> Patient:
    return without_addresses(recipient.patient, recipient.refused_addresses)


def _digest(keyed: KeyedRequest) -> str:
    """Keys are the callers' own, and may hold anything."""
    return hashlib.sha256(f"{keyed.caller}\0{keyed.key}".encode()).hexdigest()[:32]
