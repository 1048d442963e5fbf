"""Show what staff were told of, or are about to be: in plain words, and with what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import AwareDatetime, BaseModel

from carenotify.domain.alert import Alert
from carenotify.storage import alerts
from carenotify.storage.database import Database


class ListedAlert(BaseModel):
    """An alert as it is shown. `subject` and `details` hold ids, codes and counts, and nothing personal.

    `resolved_at` is when what lasted was over, null while it lasts and for what happened once. `mailed_at` is null
    while no mail server has taken the mail that tells of it.
    """

    id: int
    kind: str
    title: str
    severity: str
    subject: str
    channel: str | None
    count: int
    details: dict[str, Any]
    raised_at: AwareDatetime
    resolved_at: AwareDatetime | None
    mailed_at: AwareDatetime | None
    what_to_do: str


@dataclass(frozen=True, slots=True)
class PageOfAlerts:
    """Alerts, newest first. `next` is where the following page begins; None at the end."""

    alerts: list[ListedAlert]
    next: int | None


def list_alerts(database: Database, *, before: int | None, limit: int) -> PageOfAlerts:
    """The newest alerts; with `before`, those that are older than the one of that id."""
    with database.transaction() as transaction:
        found = alerts.page(transaction, before=before, limit=limit + 1)
    page = found[:limit]
    return PageOfAlerts([listed(alert) for alert in page], page[-1].id if len(found) > limit else None)


def listed(alert: Alert) -> ListedAlert:
    """The alert as it is shown."""
    return ListedAlert(
        id=alert.id,
        kind=alert.kind,
        title=alert.title,
        severity=alert.severity,
        subject=alert.subject,
        channel=alert.channel,
        count=alert.count,
        details=dict(alert.details),
        raised_at=alert.raised_at,
        resolved_at=alert.resolved_at,
        mailed_at=alert.mailed_at,
        what_to_do=alert.what_to_do,
    )
