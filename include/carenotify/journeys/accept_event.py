"""Take in a change event: once, never an old one over a newer one, in one transaction with what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from carenotify.domain.appointment import Appointment
from carenotify.domain.clock import Clock
from carenotify.domain.event import (
    KIND_OF,
    ChangeEvent,
    Difference,
    EventOutcome,
    Known,
    same_place,
    standing_against,
    type_of_change,
)
from carenotify.domain.kinds import Kind
from carenotify.errors import EventConflictError
from carenotify.journeys.announce_change import Announcement, Change, ChangeAnnouncer
from carenotify.storage import change_events
from carenotify.storage.change_events import Settled
from carenotify.storage.database import Database, Transaction
from carenotify.tracing import span

CHANGE_KINDS = tuple(kind.name for kind in KIND_OF.values())


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to an event: the same one, however often it is sent."""

    event_id: str
    outcome: str
    reason: str | None
    notification_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class EventAcceptor:
    """Accepts events. Two that arrive at the same moment take turns by appointment."""

    database: Database
    announcer: ChangeAnnouncer
    clock: Clock

    def accept(self, event: ChangeEvent, *, body: Mapping[str, Any]) -> Accepted:
        """Store an event with `body`, what was sent; change the appointment; insert the notifications.

        Raises EventConflictError when the id is known with another body.
        """
        with span("accept event", type=event.type.value):
            return self.database.run(lambda transaction: self.accept_within(transaction, event, body=body))

    def accept_within(self, transaction: Transaction, event: ChangeEvent, *, body: Mapping[str, Any]) -> Accepted:
        """The same, in a transaction that is open already."""
        sealer = self.database.sealer
        body_hash = sealer.fingerprint(dict(body))
        change_events.take_turns(transaction, event.appointment)
        if not change_events.add(
            transaction, [event], body=dict(body), body_hash=body_hash, now=self.clock(), sealer=sealer
        ):
            return _again(transaction, event.event_id, body_hash)
        announcement = self._apply(transaction, event)
        _settle(transaction, [event], [announcement])
        return Accepted(event.event_id, announcement.outcome, announcement.reason, announcement.notification_ids)

    def note_differences(self, transaction: Transaction, differences: Iterable[Difference], *, run_id: str) -> int:
        """A load brought changes for which no event came: announce them as events would have been.

        The load has changed the appointments already. Gives how many patients are told of.
        """
        found = [(difference, type_of_change(difference.old, difference.new)) for difference in differences]
        noted = [(difference, kind) for difference, kind in found if kind is not None]
        events = [
            ChangeEvent(f"load:{run_id}:{one.new.id}", kind, one.known_at, one.new, source="load")
            for one, kind in noted
        ]
        now, sealer = self.clock(), self.database.sealer
        change_events.add(transaction, events, body={}, body_hash=sealer.fingerprint({}), now=now, sealer=sealer)
        changes = [
            Change(event.event_id, KIND_OF[event.type], one.old, one.new)
            for event, (one, _) in zip(events, noted, strict=True)
        ]
        _settle(transaction, events, self.announcer.announce(transaction, changes, now=now))
        return len(events)

    def _apply(self, transaction: Transaction, event: ChangeEvent) -> Announcement:
        known = change_events.known(transaction, event.appointment.id)
        event = _with_known_venue(event, known)
        standing = standing_against(event, known)
        if standing is EventOutcome.IGNORED_STALE:
            return Announcement(standing)
        if standing is EventOutcome.ALREADY_KNOWN:
            told = change_events.told_by(transaction, event.appointment, kinds=CHANGE_KINDS)
            # A hook says how things stand, and may come for a change that patients are not told of.
            if told or event.source == "fhir":
                return Announcement(standing, notification_ids=tuple(told))
        change_events.set_appointment(transaction, event.appointment, known_at=event.occurred_at)
        change = Change(event.event_id, _kind(event, known), _old(event, known), event.appointment)
        (announcement,) = self.announcer.announce(transaction, [change], now=self.clock())
        return announcement


def _settle(transaction: Transaction, events: Sequence[ChangeEvent], announcements: Sequence[Announcement]) -> None:
    change_events.settle(
        transaction,
        [
            Settled(event.event_id, came.outcome, came.reason, came.notification_ids)
            for event, came in zip(events, announcements, strict=True)
        ],
    )


def _again(transaction: Transaction, event_id: str, body_hash: bytes) -> Accepted:
    earlier = change_events.stored(transaction, event_id)
    if earlier is None or earlier.body_hash != body_hash:
        raise EventConflictError(f"event {event_id} is known with another body")
    return Accepted(event_id, earlier.outcome, earlier.reason, earlier.notification_ids)


def _with_known_venue(event: ChangeEvent, known: Known | None) -> ChangeEvent:
    if known is None:
        return event
    venue = same_place(event.appointment.venue, known.appointment.venue)
    return replace(event, appointment=replace(event.appointment, venue=venue))


def _kind(event: ChangeEvent, known: Known | None) -> Kind:
    """What really changed, where the appointment is known; else what the event calls it."""
    found = type_of_change(known.appointment, event.appointment) if known else None
    return KIND_OF[found or event.type]


def _old(event: ChangeEvent, known: Known | None) -> Appointment | None:
    """How it was, when that differs from how it is now."""
    if known is None or known.appointment.content_hash == event.appointment.content_hash:
        return None
    return known.appointment
