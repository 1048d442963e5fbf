"""Stop a notification that nobody has begun to send."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from carenotify.errors import NotCancellableError, NotFoundError
from carenotify.storage import audit_log, notifications
from carenotify.storage.database import Database


def cancel_notification(database: Database, notification_id: UUID, *, by: str, now: datetime) -> None:
    """Cancel it. Raises NotFoundError, and NotCancellableError when it is being sent or is over."""
    with database.transaction() as transaction:
        if not notifications.cancel(transaction, notification_id, now=now):
            status = notifications.status_of(transaction, notification_id)
            if status is None:
                raise NotFoundError("there is no such notification")
            raise NotCancellableError(status)
        subject = str(notification_id)
        audit_log.record(transaction, actor=by, action="notification.cancelled", subject=subject, now=now)
