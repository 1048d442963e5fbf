"""Tell what became of notifications; what they say, only to those who may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from carenotify.errors import NotFoundError
from carenotify.storage import notification_stories
from carenotify.storage.database import Database
from carenotify.storage.notification_stories import NotificationState, Story

MASK = "•••"


@dataclass(frozen=True, slots=True)
class PageOfStates:
    """Notifications, newest first. `next` is where the following page begins; None at the end."""

    states: list[NotificationState]
    next: UUID | None


def read_story(database: Database, notification_id: UUID, *, masked: bool) -> Story:
    """A notification from its cause to its end. Raises NotFoundError."""
    with database.transaction() as transaction:
        story = notification_stories.story(transaction, notification_id, sealer=database.sealer)
    if story is None:
        raise NotFoundError("there is no such notification")
    return replace(story, data=mask(story.data)) if masked else story


def read_page(database: Database, wanted: Mapping[str, object], *, limit: int) -> PageOfStates:
    """The newest notifications that meet the conditions, see `notification_stories.newest`."""
    with database.transaction() as transaction:
        found = notification_stories.newest(transaction, wanted, limit=limit + 1)
    page = found[:limit]
    return PageOfStates(page, page[-1].id if len(found) > limit else None)


def mask(value: Any) -> Any:
    """The shape of the data without what it says."""
    if isinstance(value, dict):
        return {name: mask(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner) for inner in value]
    return None if value is None else MASK
