"""Tell what became of notifications; what they say, only to those who may read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from carenotify.domain.masking import MASK, mask_address
from carenotify.domain.notification import Channel
from carenotify.domain.patient import addresses
from carenotify.errors import NotFoundError
from carenotify.storage import audit_log, notification_search, notification_stories
from carenotify.storage.database import Database, Transaction
from carenotify.storage.notification_stories import NotificationState, Story
from carenotify.storage.recipients import Recipient, read_recipient
from carenotify.storage.sealed import Sealer

# A page that stays open asks again and again; that is one reading.
_ONE_READING = timedelta(minutes=10)
# How many rows are looked at in one transaction, and after how long a search goes on with the next page.
_LOOK_AT = 50_000
_LOOK_SECONDS = 1.0
# It has no address yet, and will go to the one that is best then.
_BEFORE_SENDING = frozenset({"pending", "queued", "sending"})


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a story, as the audit log names them, and whether they are shown whom and what it tells."""

    actor: str
    masked: bool


@dataclass(frozen=True, slots=True)
class ReadStory:
    """A story as its reader may see it. `recipient` is the address that it went to, or would go to now.

    None when that is not known: it never got an address, or the patient does not have that address any more.
    """

    story: Story
    recipient: str | None


@dataclass(frozen=True, slots=True)
class PageOfStates:
    """Notifications, newest first. `next` is where the following page begins; None at the end."""

    states: list[NotificationState]
    next: UUID | None


def read_story(database: Database, notification_id: UUID, reader: Reader, *, now: datetime, today: date) -> ReadStory:
    """A notification from its cause to its end; whoever is shown an address is noted. Raises NotFoundError."""
    with database.transaction() as transaction:
        story = notification_stories.story(transaction, notification_id, sealer=database.sealer)
        if story is None:
            raise NotFoundError("there is no such notification")
        address = _address(transaction, story, sealer=database.sealer, today=today)
        if reader.masked:
            return ReadStory(replace(story, data=mask(story.data)), None if address is None else mask_address(address))
        if address is not None:
            audit_log.record_unless_lately(
                transaction,
                actor=reader.actor,
                action="notification.address_read",
                subject=str(notification_id),
                now=now,
                lately=_ONE_READING,
            )
    return ReadStory(story, address)


def _address(transaction: Transaction, story: Story, *, sealer: Sealer, today: date) -> str | None:
    recipient = read_recipient(transaction, story.state.patient_id, sealer=sealer)
    if recipient is None:
        return None
    if story.state.status in _BEFORE_SENDING:
        return _best(recipient, story, sealer=sealer, today=today)
    known = (contact.value for contact in recipient.patient.contacts)
    return next((value for value in known if story.sent_to is not None and sealer.index(value) == story.sent_to), None)


def _best(recipient: Recipient, story: Story, *, sealer: Sealer, today: date) -> str | None:
    usable = addresses(recipient.patient, Channel(story.state.channel), today, recipient.refused_addresses)
    return next((one.value for one in usable if sealer.index(one.value) not in story.tried_addresses), None)


def read_page(
    database: Database,
    wanted: Mapping[str, object],
    *,
    limit: int,
    timer: Callable[[], float] = time.monotonic,
) -> PageOfStates:
    """The newest notifications that meet the conditions, see `notification_search.newest`.

    What no index finds is looked for among the newest, and then further back, for a second or so. A page may hold fewer
    than there are then, even none, and have a next one.
    """
    if not notification_search.is_usual(wanted):
        with database.transaction() as transaction:
            return _page(notification_search.newest(transaction, wanted, limit=limit + 1), limit)
    found: list[NotificationState] = []
    begun, left = timer(), dict(wanted)
    while True:
        with database.transaction() as transaction:
            found += notification_search.newest(transaction, left, limit=limit + 1 - len(found), among=_LOOK_AT)
            last = None if len(found) > limit else notification_search.last_among(transaction, left, _LOOK_AT)
        if last is None:
            return _page(found, limit)
        if timer() - begun > _LOOK_SECONDS:
            return PageOfStates(found, last)
        left["before"] = last


def _page(found: list[NotificationState], limit: int) -> PageOfStates:
    page = found[:limit]
    return PageOfStates(page, page[-1].id if len(found) > limit else None)


def mask(value: Any) -> Any:
    """The shape of the data without what it says."""
    if isinstance(value, dict):
        return {name: mask(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    return None if value is None else MASK
